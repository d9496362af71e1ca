"""Built-in functions that are operations: `len(x)` is `__len__`, `operator.add` is `+`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from langgraph_parallel.inference.door.items import delete_item, get_item, set_item
from langgraph_parallel.inference.door.operators import (
    augment,
    binary,
    compare,
    contains,
    identical,
    truth,
    unary,
)
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import NONE, SCALAR, Value, fresh, join

Rule: TypeAlias = Callable[[Frame, Arguments], Value]


def first_of(given: Arguments) -> Value:
    """Return the first argument."""
    return given.positional[0] if given.positional else given.all


def _one(operation: str) -> Rule:
    """Return the rule for a built-in that is an operation of one operand."""

    def rule(frame: Frame, given: Arguments) -> Value:
        found = unary(frame, operation, first_of(given), given.node)
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
        left, right = pair_of(given)
        return binary(frame, operation, left, right, given.node)

    return rule


def _in_place(operation: str) -> Rule:
    def rule(frame: Frame, given: Arguments) -> Value:
        left, right = pair_of(given)
        return augment(frame, operation, left, right, given.node)

    return rule


def _comparison(operation: str) -> Rule:
    def rule(frame: Frame, given: Arguments) -> Value:
        left, right = pair_of(given)
        return compare(frame, operation, left, right, given.node)

    return rule


def pair_of(given: Arguments) -> tuple[Value, Value]:
    """Return the two operands among the arguments."""
    if len(given.positional) >= 2 and not given.unpacked:
        return given.positional[0], given.positional[1]
    return given.all, given.all


def _is(frame: Frame, given: Arguments) -> Value:
    left, right = pair_of(given)
    return identical(frame, left, right, given.node)


def _identity(frame: Frame, given: Arguments) -> Value:
    identical(frame, given.all, fresh(), given.node)
    return SCALAR


def _truth(frame: Frame, given: Arguments) -> Value:
    truth(frame, given.all, given.node)
    return SCALAR


def _length_hint(frame: Frame, given: Arguments) -> Value:
    for operation in ("__len__", "__length_hint__"):
        unary(frame, operation, first_of(given), given.node)
    return SCALAR


def _get_item(frame: Frame, given: Arguments) -> Value:
    base, index = pair_of(given)
    return get_item(frame, base, index, given.node)


def _set_item(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) != 3:
        return unknown(frame, "calls setitem()", given.all, given.node)
    set_item(frame, *given.positional, given.node)
    return NONE


def _delete_item(frame: Frame, given: Arguments) -> Value:
    base, index = pair_of(given)
    delete_item(frame, base, index, given.node)
    return NONE


def _contains(frame: Frame, given: Arguments) -> Value:
    container, item = pair_of(given)
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
