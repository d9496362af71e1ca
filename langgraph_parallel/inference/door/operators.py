"""From an operator to what it does to its operands, by their kinds."""

from __future__ import annotations

import ast
import types
from typing import Final, TypeGuard

from langgraph_parallel.effects import ALL
from langgraph_parallel.inference.code.datamodel import REFLECTED, find, in_place, user_defined
from langgraph_parallel.inference.door.filling import (
    add_to,
    change,
    is_immutable,
    look_at_items,
    merge_into,
)
from langgraph_parallel.inference.door.injected import injected_part
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.door.state_keys import from_state, use_state
from langgraph_parallel.inference.machine.certainty import (
    constants_of,
    is_deep,
    is_quiet,
    is_scalar,
    strings_of,
)
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    SCALAR,
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
    data,
    fresh,
    join,
    opaque,
    roots_of,
    tame,
)
from langgraph_parallel.inference.machine.watch import PLACE
from langgraph_parallel.inference.objects.held import MAPPINGS, held_items, place_of
from langgraph_parallel.inference.objects.objects import (
    Typed,
    class_of,
    family_of_object,
    is_container,
    is_instance,
    look_at_object,
    look_behind,
)
from langgraph_parallel.inference.objects.special_methods import run_special, use_object


def unary(frame: Frame, operation: str, value: Value, node: ast.AST) -> Value:
    """Return what an operation of one operand gives: `__neg__`, `__len__`, `__str__`, `__int__`."""
    parts = [_unary(frame, operation, atom, node) for atom in value]
    return join(*parts)


_OF_PARTS: Final = frozenset(
    {"__str__", "__repr__", "__format__", "__hash__", "__copy__", "__deepcopy__", "__bytes__"}
    | {"__reduce_ex__"}
)
"""Operations of one operand by which a built-in container looks at its parts."""


def _unary(frame: Frame, operation: str, atom: Atom, node: ast.AST) -> Value:
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
        elif isinstance(atom, Injected):
            found = join(found, frame.use(frozenset({atom}), node))
        elif isinstance(atom, Data):
            look_behind(frame, atom, node)
    rest = frozenset(a for a in left | right if not isinstance(a, _WITH_RULES))
    rest = frozenset(a for a in rest if not isinstance(a, Opaque) or a.tame)
    return join(found, _computed(rest)) if rest else found


_WITH_RULES: Final = (Live, Made, Object, State, Injected)


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
        elif not is_immutable(atom) and not _is_number_beside(atom, operation, right):
            frame.leak(right)
            if not (isinstance(atom, Data) and atom.own):
                frame.escape(right, "added in place", where)
            change(frame, atom, "augmented assignment", node, right)
            found = join(found, frozenset({atom}))
    numbers = [a for a in left if _is_number_beside(a, operation, right)]
    rest = left.difference(a for a in left if isinstance(a, Cell)).difference(numbers)
    if numbers:
        found = join(found, SCALAR)
    if left and not rest:
        return found
    return join(found, binary(frame, operation, rest, right, node))


def _is_number_beside(atom: Atom, operation: str, right: Value) -> bool:
    """Tell whether plain data takes an operation with a number only if it is a number itself.

    A list, a set or a dict raises a `TypeError` for every number and stays as it was, but for
    `*=`, by which a list repeats itself in place. What comes out is immutable.
    """
    if not isinstance(atom, Data) or not atom.deep or atom.kind is not None:
        return False
    constants = constants_of(right)
    is_number = constants is not None and all(isinstance(c, (int, float)) for c in constants)
    return is_number and operation != "__mul__"


def _extend_cell(frame: Frame, cell: Cell, right: Value, node: ast.AST) -> None:
    if cell.kind == "list":
        add_to(frame, cell, iterate(frame, right, node), node)
        return
    for atom in right:
        merge_into(frame, cell, atom, node)


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
    if all(isinstance(a, (Data, Chain)) or is_quiet(frozenset({a})) for a in operands):
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
    if family_of_object(atom) is not None:
        return False
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
        elif isinstance(atom, Injected) and is_scalar(item):
            injected_part(frame, atom, strings_of(item), node)
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
        if frame.recorder.watch is not None:
            frame.recorder.note("asks which object a value is", frame.where(node), PLACE)
        if any(not is_immutable(a) and _from_state(frozenset({a})) for a in one):
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
