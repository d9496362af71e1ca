"""Built-in functions as the operations that they are: `len(x)` is `__len__`, `sum(x)` adds."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from langgraph_parallel.inference.containers import cell_at
from langgraph_parallel.inference.datamodel import find, is_a, is_users
from langgraph_parallel.inference.door import (
    augment,
    binary,
    compare,
    contains,
    identical,
    iterate,
    merge_into,
    put_at,
    truth,
    unary,
)
from langgraph_parallel.inference.frame import Arguments, Frame, unknown
from langgraph_parallel.inference.functions import collected
from langgraph_parallel.inference.parts import (
    delete_attribute,
    delete_item,
    get_attribute,
    get_item,
    set_attribute,
    set_item,
)
from langgraph_parallel.inference.typed import call_method, class_of, load_attr, run_special
from langgraph_parallel.inference.values import (
    NONE,
    NOTHING,
    SCALAR,
    Cell,
    Const,
    Data,
    Live,
    Made,
    Object,
    Opaque,
    State,
    Value,
    const,
    constants_of,
    fresh,
    holding,
    is_scalar,
    join,
    opaque,
    roots_of,
    strings_of,
    tame,
)
from langgraph_parallel.locations import SCREEN

Rule: TypeAlias = Callable[[Frame, Arguments], Value]


def _first(given: Arguments) -> Value:
    return given.positional[0] if given.positional else given.all


def _one(operation: str) -> Rule:
    """Return the rule for a built-in that is an operation of one operand."""

    def rule(frame: Frame, given: Arguments) -> Value:
        found = unary(frame, operation, _first(given), given.node)
        rest = join(*given.positional[1:], *given.named.values(), given.unpacked)
        frame.use(rest, given.node)
        return SCALAR if operation in _GIVE_SCALARS else found

    return rule


_GIVE_SCALARS: Final = frozenset(
    {"__len__", "__hash__", "__str__", "__repr__", "__format__", "__int__", "__float__"}
    | {"__complex__", "__bytes__", "__index__", "__bool__", "__fspath__"}
)


def _two(operation: str) -> Rule:
    def rule(frame: Frame, given: Arguments) -> Value:
        left, right = _pair(given)
        return binary(frame, operation, left, right, given.node)

    return rule


def _in_place(operation: str) -> Rule:
    def rule(frame: Frame, given: Arguments) -> Value:
        left, right = _pair(given)
        return augment(frame, operation, left, right, given.node)

    return rule


def _comparison(operation: str) -> Rule:
    def rule(frame: Frame, given: Arguments) -> Value:
        left, right = _pair(given)
        return compare(frame, operation, left, right, given.node)

    return rule


def _pair(given: Arguments) -> tuple[Value, Value]:
    if len(given.positional) >= 2 and not given.unpacked:
        return given.positional[0], given.positional[1]
    return given.all, given.all


def _is(frame: Frame, given: Arguments) -> Value:
    left, right = _pair(given)
    return identical(frame, left, right, given.node)


def _identity(frame: Frame, given: Arguments) -> Value:
    identical(frame, given.all, fresh(), given.node)
    return SCALAR


def _truth(frame: Frame, given: Arguments) -> Value:
    truth(frame, given.all, given.node)
    return SCALAR


def _quantifier(frame: Frame, given: Arguments) -> Value:
    truth(frame, iterate(frame, given.all, given.node), given.node)
    return SCALAR


def _total(frame: Frame, given: Arguments) -> Value:
    items = iterate(frame, _first(given), given.node)
    start = join(*given.positional[1:], *given.named.values(), given.unpacked)
    # The start is given back when there is nothing to add.
    start = start or const(0)
    return join(start, binary(frame, "__add__", join(items, start), items, given.node))


def _best(frame: Frame, given: Arguments) -> Value:
    node = given.node
    many = len(given.positional) > 1 or bool(given.unpacked)
    items = join(*given.positional, given.unpacked)
    items = join(iterate(frame, given.unpacked, node), items) if many else NOTHING
    if not many:
        items = iterate(frame, _first(given), node)
    keyed = run_key(frame, given, items)
    compare(frame, "__lt__", keyed, keyed, node)
    default = given.named.get("default", NOTHING)
    return join(items, default)


def run_key(frame: Frame, given: Arguments, items: Value) -> Value:
    """Return what is compared: the items, or what the `key=` function gives for them."""
    key = given.named.get("key", NONE) - NONE
    return frame.call(key, Arguments(given.node, (items,))) if key else items


def _sorted(frame: Frame, given: Arguments) -> Value:
    items = iterate(frame, _first(given), given.node)
    keyed = run_key(frame, given, items)
    if not is_scalar(keyed):
        compare(frame, "__lt__", keyed, keyed, given.node)
    return collected(frame, given.node, items)


def _collect(frame: Frame, given: Arguments) -> Value:
    constants = constants_of(_first(given)) if given.positional else None
    if constants and all(isinstance(c, tuple) for c in constants):
        return _first(given)
    if not given.all:
        return collected(frame, given.node, NOTHING)
    return collected(frame, given.node, iterate(frame, given.all, given.node))


def _collect_set(frame: Frame, given: Arguments) -> Value:
    found = _collect(frame, given)
    for atom in found:
        if isinstance(atom, Cell):
            frame.use(atom.everything(), given.node)  # it hashes and compares them
    return found


def _lazily(frame: Frame, given: Arguments, parts: Value) -> Value:
    """Return a new iterator over `parts`."""
    made = collected(frame, given.node, parts)
    for atom in made:
        if isinstance(atom, Cell):
            atom.spent = True
    return made


def _enumerate(frame: Frame, given: Arguments) -> Value:
    items = iterate(frame, _first(given), given.node)
    return _lazily(frame, given, holding(join(SCALAR, items)))


def _zip(frame: Frame, given: Arguments) -> Value:
    values = [iterate(frame, value, given.node) for value in given.positional]
    if given.unpacked:
        values.append(iterate(frame, iterate(frame, given.unpacked, given.node), given.node))
    parts = join(*values)
    return _lazily(frame, given, holding(parts))


def _map(frame: Frame, given: Arguments) -> Value:
    if not given.positional or given.unpacked:
        return unknown(frame, "calls map()", given.all, given.node)
    function, *iterables = given.positional
    items = tuple(iterate(frame, value, given.node) for value in iterables)
    found = frame.call(function, Arguments(given.node, items))
    return _lazily(frame, given, found)


def _filter(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) != 2:
        return unknown(frame, "calls filter()", given.all, given.node)
    function, iterable = given.positional
    items = iterate(frame, iterable, given.node)
    answers = frame.call(function - NONE, Arguments(given.node, (items,)))
    truth(frame, join(answers, items if function >= NONE else NOTHING), given.node)
    return _lazily(frame, given, items)


def _reduce(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) < 2 or given.unpacked:
        return unknown(frame, "calls reduce()", given.all, given.node)
    function, iterable, *start = given.positional
    items = iterate(frame, iterable, given.node)
    total = join(items, *start)
    for _ in range(3):
        grown = join(total, frame.call(function, Arguments(given.node, (total, items))))
        if grown == total:
            return total
        total = grown
    return join(total, opaque(roots_of(total)))


def _reversed(frame: Frame, given: Arguments) -> Value:
    value = _first(given)
    special: Value = NOTHING
    for atom in value:
        if isinstance(atom, (Live, Made, Object)):
            special = join(special, run_special(frame, atom, "__reversed__", (), given.node))
    items = join(iterate(frame, value, given.node), iterate(frame, special, given.node))
    return _lazily(frame, given, items)


def _iter(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) > 1:
        found = frame.call(given.positional[0], Arguments(given.node))
        frame.use(given.positional[1], given.node)
        return _lazily(frame, given, found)
    return _lazily(frame, given, iterate(frame, given.all, given.node))


def _next(frame: Frame, given: Arguments) -> Value:
    first = _first(given)
    rest = join(*given.positional[1:], given.unpacked)
    parts: Value = NOTHING
    for atom in first:
        if isinstance(atom, Cell):
            parts = join(parts, iterate(frame, frozenset({atom}), given.node))
        elif isinstance(atom, (Live, Made, Object)):
            found = find(class_of(atom), "__next__")
            if found is not None and is_users(found[1]):
                done = run_special(frame, atom, "__next__", (), given.node)
                parts = join(parts, done)
            else:
                parts = join(parts, iterate(frame, frozenset({atom}), given.node))
        else:
            what = "moves an iterator on"
            parts = join(parts, unknown(frame, what, frozenset({atom}), given.node))
    return join(parts, rest)


def _print(frame: Frame, given: Arguments) -> Value:
    for value in (*given.positional, given.unpacked):
        unary(frame, "__str__", value, given.node)
    frame.recorder.change(SCREEN, frame.where(given.node))
    file = given.named.get("file", NONE) - NONE
    if file:
        unknown(frame, "prints to a file object", file, given.node)
    return NONE


def _isinstance(frame: Frame, given: Arguments) -> Value:
    operation = "__instancecheck__"
    for atom in iterate_classes(given.positional[1] if len(given.positional) > 1 else NOTHING):
        if isinstance(atom, Live) and is_a(atom.obj, type):
            hook = find(type(atom.obj), operation)
            if hook is not None and is_users(hook[1]):
                call_method(frame, atom, hook[1], (_first(given),), given.node)
            _run_subclass_hooks(frame, atom, given)
        else:
            _check_unknown_class(frame, atom, given)
    for atom in _first(given):
        if isinstance(atom, (Live, Made, Object)):
            own = find(class_of(atom), "__class__")
            if own is not None and is_users(own[1]):
                load_attr(frame, atom, "__class__", given.node)
    return SCALAR


def _check_unknown_class(frame: Frame, atom: Any, given: Arguments) -> None:
    """A class that is not known may say by code of its own what its instances are."""
    if not isinstance(atom, (Const, Data)) and not (isinstance(atom, Opaque) and atom.tame):
        what = "asks for the class of something"
        unknown(frame, what, join(frozenset({atom}), _first(given)), given.node)


def _run_subclass_hooks(frame: Frame, atom: Live, given: Arguments) -> None:
    for name in ("__subclasshook__", "__subclasscheck__"):
        hook = find(atom.obj, name)
        if hook is not None and is_users(hook[1]):
            call_method(frame, atom, hook[1], (_first(given),), given.node)


def _issubclass(frame: Frame, given: Arguments) -> Value:
    for atom in iterate_classes(given.positional[1] if len(given.positional) > 1 else NOTHING):
        if isinstance(atom, Live) and is_a(atom.obj, type):
            hook = find(type(atom.obj), "__subclasscheck__")
            if hook is not None and is_users(hook[1]):
                call_method(frame, atom, hook[1], (_first(given),), given.node)
            _run_subclass_hooks(frame, atom, given)
        else:
            _check_unknown_class(frame, atom, given)
    return SCALAR


def iterate_classes(value: Value) -> list[Any]:
    """Return the atoms of a class, or of a tuple of classes."""
    found: list[Any] = []
    for atom in value:
        if isinstance(atom, Cell):
            found += list(atom.everything())
        elif isinstance(atom, Live) and type(atom.obj) is tuple:
            found += [Live(part) for part in atom.obj]
        elif isinstance(atom, Const) and isinstance(atom.value, tuple):
            found += [Live(part) for part in atom.value]
        else:
            found.append(atom)
    return found


def _type(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) != 1:
        return unknown(frame, "makes a class", given.all, given.node)
    found: Value = NOTHING
    for atom in _first(given):
        if isinstance(atom, (Live, Made, Object)):
            found = join(found, frozenset({Live(class_of(atom))}))
        elif isinstance(atom, Const):
            found = join(found, frozenset({Live(atom.kind)}))
        else:
            found = join(found, opaque(roots_of(frozenset({atom}))))
    return found


def _getattr(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) < 2 or given.unpacked:
        return unknown(frame, "calls getattr()", given.all, given.node)
    base, name, *default = given.positional
    names = strings_of(name)
    if names is None:
        if State() in base:
            frame.recorder.read_all("getattr()", frame.where(given.node))
        return join(unknown(frame, "calls getattr()", base, given.node), *default)
    return join(*(get_attribute(frame, base, n, given.node) for n in names), *default)


def _hasattr(frame: Frame, given: Arguments) -> Value:
    _getattr(frame, given)
    return SCALAR


def _setattr(frame: Frame, given: Arguments) -> Value:
    names = strings_of(given.positional[1]) if len(given.positional) == 3 else None
    if names is None:
        return unknown(frame, "calls setattr()", given.all, given.node)
    for name in names:
        set_attribute(frame, given.positional[0], name, given.positional[2], given.node)
    return NONE


def _delattr(frame: Frame, given: Arguments) -> Value:
    names = strings_of(given.positional[1]) if len(given.positional) == 2 else None
    if names is None:
        return unknown(frame, "calls delattr()", given.all, given.node)
    for name in names:
        delete_attribute(frame, given.positional[0], name, given.node)
    return NONE


def _dict(frame: Frame, given: Arguments) -> Value:
    cell = cell_at(frame, given.node)
    fill_cell(frame, cell, given)
    return frozenset({cell})


def fill_cell(frame: Frame, cell: Cell, given: Arguments) -> None:
    """Copy the arguments of `dict(...)` or `.update(...)` into a dictionary."""
    for atom in (*join(*given.positional), *given.unpacked):
        if isinstance(atom, Cell) and atom.kind == "list":
            pairs = iterate(frame, iterate(frame, frozenset({atom}), given.node), given.node)
            frame.recorder.grown |= cell.add(pairs)
            frame.recorder.grown |= cell.loosen()
        else:
            merge_into(frame, cell, atom, given.node)
    for name, value in given.named.items():
        put_at(frame, cell, const(name), value, given.node)


def _length_hint(frame: Frame, given: Arguments) -> Value:
    for operation in ("__len__", "__length_hint__"):
        unary(frame, operation, _first(given), given.node)
    return SCALAR


def _dir(frame: Frame, given: Arguments) -> Value:
    frame.use(given.all, given.node)
    return fresh(plain=True)


def _used(result: Value) -> Rule:
    def rule(frame: Frame, given: Arguments) -> Value:
        frame.use(given.all, given.node)
        return result

    return rule


def _untouched(result: Value) -> Rule:
    def rule(frame: Frame, given: Arguments) -> Value:
        del frame, given
        return result

    return rule


def _get_item(frame: Frame, given: Arguments) -> Value:
    base, index = _pair(given)
    return get_item(frame, base, index, given.node)


def _set_item(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) != 3:
        return unknown(frame, "calls setitem()", given.all, given.node)
    set_item(frame, *given.positional, given.node)
    return NONE


def _delete_item(frame: Frame, given: Arguments) -> Value:
    base, index = _pair(given)
    delete_item(frame, base, index, given.node)
    return NONE


def _contains(frame: Frame, given: Arguments) -> Value:
    container, item = _pair(given)
    return contains(frame, container, item, given.node)


_OPERATORS: Final = (
    *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift"),
    *("and_", "xor", "or_"),
)
_COMPARISONS: Final = ("lt", "le", "gt", "ge", "eq", "ne")

OPERATIONS: Final[tuple[tuple[Any, Rule], ...]] = (
    *((len, _one("__len__")), (hash, _one("__hash__")), (str, _one("__str__"))),
    *((repr, _one("__repr__")), (ascii, _one("__repr__")), (format, _one("__format__"))),
    *((int, _one("__int__")), (float, _one("__float__")), (complex, _one("__complex__"))),
    *((bytes, _one("__bytes__")), (bytearray, _one("__bytes__")), (abs, _one("__abs__"))),
    *((round, _one("__round__")), (bin, _one("__index__")), (hex, _one("__index__"))),
    *((oct, _one("__index__")), (chr, _one("__index__")), (bool, _truth), (id, _identity)),
    *((divmod, _two("__divmod__")), (pow, _two("__pow__"))),
    *((getattr(operator, name), _two(f"__{name.rstrip('_')}__")) for name in _OPERATORS),
    *(
        (getattr(operator, f"i{name.rstrip('_')}"), _in_place(f"__{name.rstrip('_')}__"))
        for name in _OPERATORS
    ),
    *((getattr(operator, name), _comparison(f"__{name}__")) for name in _COMPARISONS),
    *((operator.getitem, _get_item), (operator.setitem, _set_item)),
    *((operator.delitem, _delete_item), (operator.contains, _contains)),
    *((operator.is_, _is), (operator.is_not, _is), (operator.truth, _truth)),
    *((operator.not_, _truth), (operator.concat, _two("__add__"))),
    *((operator.iconcat, _in_place("__add__")), (operator.index, _one("__index__"))),
    *((operator.neg, _one("__neg__")), (operator.pos, _one("__pos__"))),
    *((operator.abs, _one("__abs__")), (operator.inv, _one("__invert__"))),
    *((operator.invert, _one("__invert__")), (operator.length_hint, _length_hint)),
    *((operator.countOf, _contains), (operator.indexOf, _contains)),
)
"""The rule for each built-in that is an operation, or a few of them."""

ITERATIONS: Final[tuple[tuple[Any, Rule], ...]] = (
    *((all, _quantifier), (any, _quantifier), (sum, _total), (min, _best), (max, _best)),
    *((sorted, _sorted), (list, _collect), (tuple, _collect), (set, _collect_set)),
    *((frozenset, _collect_set), (enumerate, _enumerate), (zip, _zip), (map, _map)),
    *((filter, _filter), (reversed, _reversed), (iter, _iter), (aiter, _iter), (next, _next)),
    (functools.reduce, _reduce),
)
"""The rule for each built-in that iterates."""

INSPECTIONS: Final[tuple[tuple[Any, Rule], ...]] = (
    *((isinstance, _isinstance), (issubclass, _issubclass), (type, _type)),
    *((getattr, _getattr), (hasattr, _hasattr), (setattr, _setattr), (delattr, _delattr)),
)
"""The rule for each built-in that asks for the class or an attribute of something."""

RULES: Final[Mapping[int, tuple[Any, Rule]]] = {
    id(function): (function, rule)
    for function, rule in (
        *OPERATIONS,
        *ITERATIONS,
        *INSPECTIONS,
        *((print, _print), (dict, _dict), (dir, _dir), (callable, _untouched(SCALAR))),
        *((ord, _used(SCALAR)), (range, _used(fresh(plain=True))), (slice, _used(SCALAR))),
        *((memoryview, _used(SCALAR)), (object, _untouched(tame()))),
    )
}
"""The rule for each built-in, by the identity of the function; the function is kept with it."""


def rule_of(obj: Any) -> Rule | None:
    """Return the rule for calling a built-in function or class; None when it has none here."""
    found = RULES.get(id(obj))
    return found[1] if found is not None and found[0] is obj else None
