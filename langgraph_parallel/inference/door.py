"""The one door: what an operation of Python does to whatever it is applied to.

    operation x receiver -> what it gives, with everything that it may run, look at and change

Every rule for a piece of syntax, and every known call that is an operation in disguise (`len`,
`operator.add`, `str.format`), comes here; nothing else decides what touching an object does. By the
kind of receiver:

    State              the keys that are looked at
    Const, Data, Cell  built-in data: no code of anybody's, but for parts that are no data
    Live, Made, Object the special methods of the class (`typed`)
    Opaque             unknown, unless a library has made it out of plain data
"""

from __future__ import annotations

import ast
import itertools
import types
from typing import Any, Final, TypeGuard

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.datamodel import (
    ITERATORS,
    REFLECTED,
    find,
    in_place,
    is_a,
    is_users,
    user_defined,
)
from langgraph_parallel.inference.frame import Frame, unknown, used
from langgraph_parallel.inference.held import (
    CONTAINERS,
    MAPPINGS,
    held_item,
    held_items,
    held_keys,
    place_of,
)
from langgraph_parallel.inference.typed import (
    Typed,
    call_method,
    change_object,
    class_of,
    is_container,
    is_instance,
    look_at_object,
    look_behind,
    run_special,
    use_object,
)
from langgraph_parallel.inference.values import (
    NOTHING,
    SCALAR,
    WORLD,
    Atom,
    Bound,
    Cell,
    Chain,
    Closure,
    Const,
    Data,
    Injected,
    Live,
    Made,
    Method,
    Object,
    Opaque,
    Routed,
    State,
    Value,
    constants_of,
    data,
    fresh,
    is_deep,
    is_scalar,
    join,
    opaque,
    roots_of,
    strings_of,
    tame,
)
from langgraph_parallel.locations import ANY_ITEM, ANYWHERE, Location

_STATE_OPERATORS: Final = frozenset(
    f"__{name}__"
    for name in (
        *("str", "repr", "format", "bool", "len", "hash", "contains", "iter", "next", "getitem"),
        *("eq", "ne", "lt", "le", "gt", "ge", "getattr", "getattribute"),
    )
)
"""Operators of a state's class that using the state as a whole may run."""
_FUNCTIONS: Final = (
    *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
    *(types.MethodDescriptorType, types.WrapperDescriptorType, types.MethodWrapperType),
)


def _world(*values: Value) -> Value:
    return opaque(union(roots_of(join(*values)), frozenset({WORLD})))


# -- looking at all of something -------------------------------------------------------------------


def use_values(frame: Frame, node: ast.AST) -> None:
    """Let something look at all of the state and at all that its values hold."""
    use_state(frame, node)
    frame.use(values_of_state(frame), node)


def values_of_state(frame: Frame) -> Value:
    """Return what any value of the state may be."""
    shape = frame.recorder.shape
    unknown_key = opaque(ALL)
    return join(*(shape.hints.get(key, unknown_key) for key in shape.keys))


def use_state(frame: Frame, node: ast.AST) -> None:
    """Let something look at all of the state, and not into its values."""
    frame.recorder.read_all("used as a whole", frame.where(node))
    if frame.recorder.shape.own_code & _STATE_OPERATORS:
        what = "runs an operator of the state's class"
        frame.recorder.contact("unknown", what, frame.where(node))


@used(State)
def _use_whole_state(frame: Frame, atom: State, node: ast.AST) -> Value:
    del atom  # there is only one
    use_values(frame, node)
    return frozenset({Data(ALL, deep=False, parts=values_of_state(frame))})


@used(Cell)
def _use_cell(frame: Frame, cell: Cell, node: ast.AST) -> Value:
    if cell.spread:
        use_values(frame, node)
    key = ("cell", id(cell))
    if key not in frame.recorder.trail:
        frame.recorder.trail.append(key)
        frame.use(cell.everything(), node)
        frame.recorder.trail.pop()
    given = frozenset({cell})
    return frozenset({Data(roots_of(given), deep=is_deep(given))})


@used(Opaque)
def _use_opaque(frame: Frame, atom: Opaque, node: ast.AST) -> Value:
    given = frozenset({atom})
    if not atom.tame:
        unknown(frame, "looks at an object of unknown type", given, node)
    elif atom.roots is ALL or WORLD in atom.roots:
        frame.recorder.look(ANYWHERE, frame.where(node))
    return given


@used(Data)
def _use_data(frame: Frame, atom: Data, node: ast.AST) -> Value:
    given = frozenset({atom})
    look_behind(frame, atom, node)
    if not atom.deep:
        frame.use(frame.part_of(given), node)
    return given


@used(Routed)
def _use_command(frame: Frame, atom: Routed, node: ast.AST) -> Value:
    given = frozenset({atom})
    frame.escape(given, "used", frame.where(node))
    return given


@used(Live, Made, Object)
def _use_typed(frame: Frame, atom: Typed, node: ast.AST) -> Value:
    given = frozenset({atom})
    if isinstance(atom, Live) and type(atom.obj) in CONTAINERS:
        _use_container(frame, atom.obj, node)
        return given
    if isinstance(atom, Live) and is_a(atom.obj, _FUNCTIONS):
        return given
    if find(class_of(atom), "__next__") is not None:
        iterate(frame, given, node)  # whoever is given an iterator may use it up
    use_object(frame, atom, node)
    return given


def _use_container(frame: Frame, obj: Any, node: ast.AST) -> None:
    key = ("live", id(obj))
    if key in frame.recorder.trail or len(frame.recorder.trail) > _MOST_NESTED:
        return
    frame.recorder.trail.append(key)
    if is_a(obj, dict):
        frame.use(held_keys(frame, obj, frame.where(node)), node)
    frame.use(held_items(frame, obj, frame.where(node)), node)
    frame.recorder.trail.pop()


_MOST_NESTED: Final = 200


# -- one operand -----------------------------------------------------------------------------------


def unary(frame: Frame, operation: str, value: Value, node: ast.AST) -> Value:
    """Return what an operation of one operand gives: `__neg__`, `__len__`, `__str__`, `__int__`."""
    parts = [_unary(frame, operation, atom, node) for atom in value]
    return join(*parts)


_OF_PARTS: Final = frozenset(
    {"__str__", "__repr__", "__format__", "__hash__", "__copy__", "__deepcopy__", "__bytes__"}
    | {"__reduce_ex__"}
)
"""Operations of one operand by which a built-in container looks at its parts."""


def _unary(frame: Frame, operation: str, atom: Any, node: ast.AST) -> Value:
    given = frozenset({atom})
    if is_instance(atom):
        found = run_special(frame, atom, operation, (), node)
        look_at_object(frame, atom, frame.where(node))
        return found or SCALAR
    if isinstance(atom, State) and operation not in _OF_PARTS:
        use_state(frame, node)
    elif isinstance(atom, (State, Opaque)) or operation in _OF_PARTS:
        if isinstance(atom, Opaque) and not atom.tame:
            return unknown(frame, f"runs {operation} of an unknown type", given, node)
        frame.use(given, node)
    elif isinstance(atom, Live):
        frame.recorder.look(place_of(frame, atom.obj), frame.where(node))
    elif isinstance(atom, Cell) and atom.spread:
        use_state(frame, node)
    elif isinstance(atom, Data):
        look_behind(frame, atom, node)
    return SCALAR


def truth(frame: Frame, value: Value, node: ast.AST) -> Value:
    """Ask whether a value is true; return the value."""
    for atom in value:
        if isinstance(atom, (Closure, Bound, Method, Chain, Routed, Injected)):
            continue  # no class of these defines `__bool__` or `__len__`
        _unary(frame, "__bool__", atom, node)
    return value


# -- two operands ----------------------------------------------------------------------------------


def binary(frame: Frame, operation: str, left: Value, right: Value, node: ast.AST) -> Value:
    """Return what an operator of two operands gives, with its reflected form."""
    where = frame.where(node)
    if operation == "__mod__" and not is_scalar(right):
        frame.use(right, node)  # it may format
    found: Value = NOTHING
    _use_beside_built_ins(frame, left, right, node)
    for atom, operation_of, other in (
        *((atom, operation, right) for atom in left),
        *((atom, REFLECTED.get(operation, operation), left) for atom in right),
    ):
        if is_instance(atom):
            found = join(found, _operator(frame, atom, operation_of, other, node))
        elif isinstance(atom, Opaque) and not atom.tame:
            what = f"runs {operation_of} of an unknown type"
            found = join(found, unknown(frame, what, join(frozenset({atom}), other), node))
        elif is_container(atom):
            items = held_items(frame, atom.obj, where)
            plain = type(atom.obj) in MAPPINGS
            found = join(found, fresh(roots_of(items), plain=not plain, deep=is_deep(items)))
        elif isinstance(atom, State):
            use_state(frame, node)
            found = join(found, opaque(ALL))
    rest = frozenset(a for a in left | right if not isinstance(a, (Live, Made, Object, State)))
    rest = frozenset(a for a in rest if not isinstance(a, Opaque) or a.tame)
    return join(found, _computed(rest)) if rest else found


def _use_beside_built_ins(frame: Frame, left: Value, right: Value, node: ast.AST) -> None:
    """What is built in, or a library's, may look at its operand: `"ab" * x`, `path / x`."""
    for one, other in ((left, right), (right, left)):
        if all(_is_users(atom) for atom in one):
            continue
        for atom in other:
            if _is_users(atom):
                use_object(frame, atom, node)


def _is_users(atom: Atom) -> TypeGuard[Typed]:
    return is_instance(atom) and bool(user_defined(class_of(atom)))


def _operator(frame: Frame, atom: Typed, operation: str, other: Value, node: ast.AST) -> Value:
    found = run_special(frame, atom, operation, (other,), node)
    look_at_object(frame, atom, frame.where(node))
    return found or SCALAR


def augment(frame: Frame, operation: str, left: Value, right: Value, node: ast.AST) -> Value:
    """Return what an augmented assignment gives; what can change in place is changed."""
    where = frame.where(node)
    found: Value = NOTHING
    _use_beside_built_ins(frame, left, right, node)
    for atom in left:
        if is_instance(atom):
            done = run_special(frame, atom, in_place(operation), (right,), node)
            found = join(found, frozenset({atom}) if done else NOTHING, done)
        elif isinstance(atom, Cell) and atom.kind != "object":
            _extend_cell(frame, atom, right, node)
            found = join(found, frozenset({atom}))
        elif not _is_immutable(atom):
            frame.leak(right)
            if not (isinstance(atom, Data) and atom.own):
                frame.escape(right, "added in place", where)
            change(frame, atom, "augmented assignment", node, right)
            found = join(found, frozenset({atom}))
    cells = [a for a in left if isinstance(a, Cell)]
    if cells and len(cells) == len(left):
        return found
    return join(found, binary(frame, operation, left - frozenset(cells), right, node))


def _extend_cell(frame: Frame, cell: Cell, right: Value, node: ast.AST) -> None:
    if cell.kind == "list":
        add_to(frame, cell, iterate(frame, right, node), node)
        return
    for atom in right:
        merge_into(frame, cell, atom, node)


def _is_immutable(atom: Any) -> bool:
    return isinstance(atom, Const) or (isinstance(atom, Data) and atom.scalar)


def _computed(operands: Value) -> Value:
    """Return the new object that an operator makes of plain operands."""
    if is_scalar(operands):
        return SCALAR
    if all(isinstance(a, (Const, Data)) for a in operands):
        plain = all(isinstance(a, Const) or (isinstance(a, Data) and a.plain) for a in operands)
        parts = [a.parts for a in operands if isinstance(a, Data) and not a.deep]
        known = None if None in parts else join(*(p for p in parts if p is not None))
        made = Data(roots_of(operands), True, False, plain, is_deep(operands), known or None)
        return frozenset({made})
    if all(isinstance(a, (Const, Data, Cell)) for a in operands):
        deep = is_deep(operands)
        plain = all(not isinstance(a, Cell) or a.kind == "list" for a in operands)
        if deep:
            return fresh(roots_of(operands), plain=plain)
        cells = [a.everything() for a in operands if isinstance(a, Cell) and not a.open]
        others = frozenset(a for a in operands if not isinstance(a, Cell))
        if plain and is_deep(others) and len(cells) == len(operands) - len(others):
            held = join(*cells, data(roots_of(others)))
            return frozenset({Data(roots_of(operands), True, False, True, False, held)})
        return fresh(roots_of(operands), plain=plain, deep=False)
    if all(isinstance(a, (Const, Data, Opaque, Chain)) for a in operands):
        return tame(roots_of(operands))
    return opaque(roots_of(operands))


def compare(frame: Frame, operation: str, left: Value, right: Value, node: ast.AST) -> Value:
    """Return what a comparison gives; containers compare their parts."""
    found: Value = NOTHING
    for atom, other, done in (
        *((atom, right, operation) for atom in left),
        *((atom, left, REFLECTED[operation]) for atom in right),
    ):
        if is_instance(atom):
            if _compares_by_identity(atom, done):
                continue
            found = join(found, _operator(frame, atom, done, other, node))
        elif isinstance(atom, Opaque) and not atom.tame:
            what = f"runs {done} of an unknown type"
            found = join(found, unknown(frame, what, join(frozenset({atom}), other), node))
        else:
            frame.use(frozenset({atom}), node)
    return join(found, SCALAR)


def _compares_by_identity(atom: Typed, operation: str) -> bool:
    names = ("__ne__", "__eq__") if operation == "__ne__" else (operation,)
    found = [find(class_of(atom), name) for name in names]
    return all(one is None or one[0] is object for one in found)


def contains(frame: Frame, container: Value, item: Value, node: ast.AST) -> Value:
    """Return what `item in container` gives."""
    for atom in container:
        if isinstance(atom, State) and "__contains__" not in frame.recorder.shape.own_code:
            from_state(frame, item, node)
        elif isinstance(atom, Live) and type(atom.obj) in MAPPINGS:
            frame.use(item, node)
            look_at_items(frame, atom.obj, item, node)
        elif is_instance(atom):
            run_special(frame, atom, "__contains__", (item,), node)
            look_at_object(frame, atom, frame.where(node))
            if find(class_of(atom), "__next__") is not None:
                iterate(frame, frozenset({atom}), node)
        elif isinstance(atom, Cell) and atom.spread:
            from_state(frame, item, node)
            frame.use(item, node)
        elif isinstance(atom, Data) and atom.deep and is_scalar(item):
            _unary(frame, "__len__", atom, node)
        else:
            frame.use(join(frozenset({atom}), item), node)
    return SCALAR


def identical(frame: Frame, left: Value, right: Value, node: ast.AST) -> Value:
    """Return what `left is right` gives: the answer may depend on which object a value is."""
    for one, other in ((left, right), (right, left)):
        if _has_no_twin(other):
            continue
        if any(not _is_immutable(a) and _from_state(frozenset({a})) for a in one):
            frame.recorder.leave(
                "identity", "asks which object a value of the state is", frame.where(node)
            )
    return SCALAR


def _has_no_twin(value: Value) -> bool:
    """Tell whether a value is something of which there is only one, such as None."""
    return all(
        (isinstance(a, Const) and not isinstance(a.value, (tuple, frozenset)))
        or (isinstance(a, Live) and isinstance(a.obj, (type, types.FunctionType)))
        for a in value
    )


def _from_state(value: Value) -> bool:
    roots = roots_of(value)
    return roots is ALL or any(not key.startswith("\0") for key in roots)


# -- parts -----------------------------------------------------------------------------------------


def from_state(frame: Frame, index: Value, node: ast.AST) -> Value:
    """Read the state at `index`."""
    from_keys = strings_of(index)
    if from_keys is None:
        frame.recorder.read_all("the key is not a known string", frame.where(node))
        return opaque(ALL)
    return join(*(frame.recorder.read(key, frame.where(node)) for key in from_keys))


def look_at_items(frame: Frame, obj: Any, index: Value, node: ast.AST) -> None:
    """Record a look at some keys of a live mapping."""
    keys = constants_of(index)
    where = frame.where(node)
    if keys is None:
        frame.recorder.look(place_of(frame, obj), where)
        return
    for key in keys:
        frame.recorder.look(place_of(frame, obj, f"[{key!r}]"), where)


def add_to(frame: Frame, cell: Cell, value: Value, node: ast.AST) -> None:
    """Put a value at an unknown place of a container made in this call."""
    if cell.open:
        frame.escape(value, "put into a container", frame.where(node))
        frame.leak(value)
        _change_open(frame, cell, value, node)
    frame.recorder.grown |= cell.add(value)


def put_at(frame: Frame, cell: Cell, index: Value, value: Value, node: ast.AST) -> None:
    """Put a value into a dictionary made in this call."""
    keys = strings_of(index)
    if cell.open:
        frame.escape(value, "put into a dictionary", frame.where(node))
        frame.leak(value)
        _change_open(frame, cell, value, node)
    if keys is None or cell.kind == "list":
        if not is_scalar(index):
            frame.use(index, node)
        if cell.kind == "dict" and not _are_no_strings(index):
            frame.recorder.grown |= cell.loosen()
        frame.recorder.grown |= cell.add(value)
        return
    for key in keys:
        frame.recorder.grown |= cell.put(key, value)


def _are_no_strings(index: Value) -> bool:
    return bool(index) and all(isinstance(a, Const) and not isinstance(a.value, str) for a in index)


def _change_open(frame: Frame, cell: Cell, value: Value, node: ast.AST) -> None:
    """A container that others may hold is changed: they see it."""
    roots = cell.roots
    if roots is ALL or any(key.startswith("\0") for key in roots) or cell.kind != "dict":
        frame.recorder.change(ANY_ITEM, frame.where(node), value)


def merge_into(frame: Frame, cell: Cell, atom: Any, node: ast.AST) -> None:
    """Copy every entry of a mapping into a dictionary made in this call."""
    if isinstance(atom, Cell) and atom.kind == "dict":
        frame.recorder.grown |= cell.merge(atom)
        return
    if isinstance(atom, State) and not frame.recorder.shape.attributes:
        frame.recorder.grown |= cell.copy_state()
        return
    if isinstance(atom, State):
        frame.recorder.read_all("unpacked", frame.where(node))
        items: Value = opaque(ALL)
    elif isinstance(atom, Live) and type(atom.obj) in MAPPINGS:
        items = held_items(frame, atom.obj, frame.where(node))
        if _merge_live(frame, cell, atom.obj, node):
            return
    elif isinstance(atom, Const):
        return
    else:
        items = spread_mapping(frame, frozenset({atom}), node)
    frame.recorder.grown |= cell.loosen()
    frame.recorder.grown |= cell.add(items)


def _merge_live(frame: Frame, cell: Cell, obj: Any, node: ast.AST) -> bool:
    keys = list(obj)
    known = all(isinstance(key, str) for key in keys) and len(keys) <= 64
    if not known or frame.recorder.memory.content(place_of(frame, obj)) != "seen":
        return False
    for key in keys:
        value = held_item(frame, obj, frozenset({key}), frame.where(node))
        frame.recorder.grown |= cell.put(key, value)
    return bool(keys)


def spread_mapping(frame: Frame, value: Value, node: ast.AST) -> Value:
    """Return what the entries of an unpacked mapping may be: `{**x}`, `f(**x)`, `dict(x)`."""
    total: Value = NOTHING
    for atom in value:
        if is_instance(atom):
            keys = NOTHING
            hook = find(class_of(atom), "keys")
            if hook is not None and is_users(hook[1]):
                keys = iterate(frame, call_method(frame, atom, hook[1], (), node), node)
            else:
                keys = iterate(frame, frozenset({atom}), node)
            if isinstance(atom, Live) and is_a(atom.obj, dict):
                frame.recorder.look(place_of(frame, atom.obj), frame.where(node))
            got = run_special(frame, atom, "__getitem__", (keys or SCALAR,), node)
            total = join(total, got or opaque(roots_of(frozenset({atom}))))
        elif isinstance(atom, State):
            use_state(frame, node)
            total = join(total, opaque(ALL))
        elif isinstance(atom, Opaque) and not atom.tame:
            total = join(total, unknown(frame, "unpacks an unknown type", frozenset({atom}), node))
        elif isinstance(atom, Live):
            total = join(total, held_items(frame, atom.obj, frame.where(node)))
        elif isinstance(atom, Cell):
            if atom.spread:
                use_state(frame, node)
                total = join(total, opaque(ALL))
            total = join(total, atom.everything(), opaque(atom.roots) if atom.open else NOTHING)
        elif isinstance(atom, Const):
            continue
        elif isinstance(atom, (Data, Opaque)):
            total = join(total, frame.part_of(frozenset({atom})))
        else:
            frame.escape(frozenset({atom}), "unpacked", frame.where(node))
            total = join(total, opaque(roots_of(frozenset({atom}))))
    return total


def iterate(frame: Frame, value: Value, node: ast.AST, *, is_async: bool = False) -> Value:
    """Return what iterating over a value gives."""
    return join(*(_iterate(frame, atom, node, is_async=is_async) for atom in value))


def _iterate(frame: Frame, atom: Any, node: ast.AST, *, is_async: bool) -> Value:
    given = frozenset({atom})
    where = frame.where(node)
    if isinstance(atom, Const):
        if isinstance(atom.value, (tuple, frozenset)):
            return join(*(frame.live(part) for part in atom.value))
        return SCALAR
    if isinstance(atom, State):
        frame.recorder.read_all("iterated over", where)
        return opaque(ALL)
    if isinstance(atom, Cell):
        return _iterate_cell(frame, atom, node)
    if is_container(atom):
        if is_a(atom.obj, dict):
            return held_keys(frame, atom.obj, where)
        return held_items(frame, atom.obj, where)
    if isinstance(atom, (Live, Made, Object)):
        return _iterate_typed(frame, atom, node, is_async=is_async)
    if isinstance(atom, Opaque):
        if atom.spent and atom.roots:
            frame.recorder.mutate(atom.roots, "may use up an iterator", where)
        if not atom.tame:
            return unknown(frame, "iterates over an object of unknown type", given, node)
        return frame.part_of(given)
    if isinstance(atom, Data):
        look_behind(frame, atom, node)
        return SCALAR if atom.scalar else frame.part_of(given)
    return opaque(frame.escape(given, "iterated over", where))


def _iterate_cell(frame: Frame, cell: Cell, node: ast.AST) -> Value:
    if cell.spread:
        use_state(frame, node)
    unknown_parts = opaque(union(cell.roots, frame.recorder.leaked)) if cell.open else NOTHING
    if cell.kind == "dict":
        cell.looked = True
        keys = join(*(frame.live(key) for key in cell.values))
        loose = cell.open or cell.spread or cell.rest
        return join(keys, SCALAR if loose else NOTHING, unknown_parts)
    return join(cell.everything(), unknown_parts)


def _iterate_typed(
    frame: Frame, atom: Typed, node: ast.AST, *, is_async: bool, depth: int = 0
) -> Value:
    where = frame.where(node)
    if isinstance(atom, Live) and type(atom.obj) in (*ITERATORS, itertools.count):
        frame.recorder.change(place_of(frame, atom.obj), where, SCALAR)
        frame.recorder.look(ANYWHERE, where)
        return SCALAR if type(atom.obj).__name__ == "count" else _world()
    first, then = ("__aiter__", "__anext__") if is_async else ("__iter__", "__next__")
    made = run_special(frame, atom, first, (), node)
    look_at_object(frame, atom, where)
    total: Value = NOTHING
    for iterator in made | frozenset({atom}):
        if is_instance(iterator):
            if find(class_of(iterator), then) is None:
                continue
            run_special(frame, iterator, "__length_hint__", (), node)
            if isinstance(iterator, Live) and not user_defined(class_of(iterator)):
                return unknown(frame, "moves an iterator on", frozenset({iterator}), node)
            total = join(total, run_special(frame, iterator, then, (), node))
        elif iterator is not atom and depth < 3:
            total = join(total, _iterate(frame, iterator, node, is_async=is_async))
    return total or join(made, opaque(roots_of(frozenset({atom}))))


# -- changing --------------------------------------------------------------------------------------


def change(
    frame: Frame,
    atom: Any,
    what: str,
    node: ast.AST,
    value: Value,
    place: Location = ANY_ITEM,
) -> None:
    """Record that something is changed in place, and what may be put into it.

    Args:
        frame: Where it is changed.
        atom: The thing.
        what: How it is changed.
        node: The place in the code.
        value: What may be put into it.
        place: Which part of it, should it be an object outside the state.
    """
    where = frame.where(node)
    if _is_immutable(atom) or (isinstance(atom, Data) and atom.own):
        return
    if isinstance(atom, (Data, Opaque)):
        roots = union(atom.roots, frame.recorder.leaked)
        frame.recorder.mutate(roots, what, where, value, place)
    elif isinstance(atom, Live):
        frame.recorder.change(place_of(frame, atom.obj), where, value)
    elif isinstance(atom, (Made, Object)):
        change_object(frame, atom, None, where, value)
    elif isinstance(atom, Cell):
        if atom.open:
            _change_open(frame, atom, value, node)
        frame.recorder.grown |= atom.loosen()
    elif not isinstance(atom, Closure):
        frame.escape(frozenset({atom}), what, where)
        frame.recorder.contact("unknown", f"{what} of something not known", where)


def await_value(frame: Frame, value: Value, node: ast.AST) -> Value:
    """Return what awaiting a value gives; what a call gives is already what it gives in the end."""
    kept: list[Value] = []
    for atom in value:
        if is_instance(atom):
            special = find(class_of(atom), "__await__")
            if special is None:
                kept.append(frozenset({atom}))  # an object that a coroutine has given
                continue
            run_special(frame, atom, "__await__", (), node)
            change_object(frame, atom, None, frame.where(node), NOTHING)
            kept.append(_world(frozenset({atom})))
        elif isinstance(atom, Opaque) and not atom.tame and (atom.roots is ALL or atom.roots):
            kept.append(unknown(frame, "awaits an unknown type", frozenset({atom}), node))
        else:
            kept.append(frozenset({atom}))
    return join(*kept)
