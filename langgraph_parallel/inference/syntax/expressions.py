"""From names, operators, parts and lambdas to the operations that they are."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Final

from langgraph_parallel.inference.calls.chains import pipe
from langgraph_parallel.inference.calls.functions import parameter_defaults
from langgraph_parallel.inference.door.attributes import get_attribute
from langgraph_parallel.inference.door.items import get_item
from langgraph_parallel.inference.door.iteration import await_value, iterate
from langgraph_parallel.inference.door.operators import (
    binary,
    compare,
    contains,
    identical,
    truth,
    unary,
)
from langgraph_parallel.inference.machine.frame import Frame, expression
from langgraph_parallel.inference.machine.values import (
    NONE,
    SCALAR,
    Closure,
    Value,
    const,
    join,
    opaque,
)

OPERATORS: Final[Mapping[type[ast.operator], str]] = {
    ast.Add: "__add__",
    ast.Sub: "__sub__",
    ast.Mult: "__mul__",
    ast.MatMult: "__matmul__",
    ast.Div: "__truediv__",
    ast.FloorDiv: "__floordiv__",
    ast.Mod: "__mod__",
    ast.Pow: "__pow__",
    ast.LShift: "__lshift__",
    ast.RShift: "__rshift__",
    ast.BitOr: "__or__",
    ast.BitXor: "__xor__",
    ast.BitAnd: "__and__",
}

_UNARY: Final[Mapping[type[ast.unaryop], str]] = {
    ast.USub: "__neg__",
    ast.UAdd: "__pos__",
    ast.Invert: "__invert__",
}
_COMPARISONS: Final[Mapping[type[ast.cmpop], str]] = {
    ast.Eq: "__eq__",
    ast.NotEq: "__ne__",
    ast.Lt: "__lt__",
    ast.LtE: "__le__",
    ast.Gt: "__gt__",
    ast.GtE: "__ge__",
}
_CONVERSIONS: Final = {ord("r"): "__repr__", ord("s"): "__str__", ord("a"): "__repr__"}


@expression(ast.Constant)
def _constant(_frame: Frame, node: ast.Constant) -> Value:
    return const(node.value)


@expression(ast.Name)
def _name(frame: Frame, node: ast.Name) -> Value:
    known = frame.filled.get(node.id)
    return frame.lookup(node.id, node) if known is None else known


@expression(ast.NamedExpr)
def _walrus(frame: Frame, node: ast.NamedExpr) -> Value:
    value = frame.evaluate(node.value)
    frame.bind(node.target.id, value)
    return value


@expression(ast.Await)
def _await(frame: Frame, node: ast.Await) -> Value:
    return await_value(frame, frame.evaluate(node.value), node)


@expression(ast.Yield)
def _yield(frame: Frame, node: ast.Yield) -> Value:
    frame.yields.append(frame.evaluate(node.value))
    return join(NONE, opaque())


@expression(ast.YieldFrom)
def _yield_from(frame: Frame, node: ast.YieldFrom) -> Value:
    frame.yields.append(iterate(frame, frame.evaluate(node.value), node))
    return join(NONE, opaque())


@expression(ast.Slice)
def _slice(frame: Frame, node: ast.Slice) -> Value:
    for part in (node.lower, node.upper, node.step):
        value = frame.evaluate(part)
        unary(frame, "__index__", value - NONE, node)
    return SCALAR


@expression(ast.Subscript)
def _subscript(frame: Frame, node: ast.Subscript) -> Value:
    base, index = frame.evaluate(node.value), frame.evaluate(node.slice)
    return get_item(frame, base, index, node, is_slice=isinstance(node.slice, ast.Slice))


@expression(ast.Attribute)
def _attribute(frame: Frame, node: ast.Attribute) -> Value:
    if frame.filled and (known := frame.filled.get(ast.unparse(node))) is not None:
        return known
    return get_attribute(frame, frame.evaluate(node.value), node.attr, node)


@expression(ast.Starred)
def _starred(frame: Frame, node: ast.Starred) -> Value:
    return iterate(frame, frame.evaluate(node.value), node)


@expression(ast.IfExp)
def _if_expression(frame: Frame, node: ast.IfExp) -> Value:
    condition(frame, node.test)
    return join(maybe(frame, node.body), maybe(frame, node.orelse))


@expression(ast.BoolOp)
def _bool_op(frame: Frame, node: ast.BoolOp) -> Value:
    first, *rest = node.values
    *asked, last = (condition(frame, first), *(maybe(frame, value) for value in rest))
    for value, part in zip(asked[1:], rest[:-1], strict=True):
        truth(frame, value, part)
    return join(*asked, last)


def condition(frame: Frame, node: ast.expr) -> Value:
    """Evaluate something of which it is asked whether it is true."""
    return truth(frame, frame.evaluate(node), node)


def maybe(frame: Frame, node: ast.expr) -> Value:
    """Evaluate an operand that may be skipped: a walrus inside only adds to its variable."""
    frame.weak += 1
    try:
        return frame.evaluate(node)
    finally:
        frame.weak -= 1


@expression(ast.UnaryOp)
def _unary_op(frame: Frame, node: ast.UnaryOp) -> Value:
    value = frame.evaluate(node.operand)
    if isinstance(node.op, ast.Not):
        truth(frame, value, node)
        return SCALAR
    return unary(frame, _UNARY[type(node.op)], value, node)


@expression(ast.Compare)
def _compare(frame: Frame, node: ast.Compare) -> Value:
    left = frame.evaluate(node.left)
    results = []
    for index, (operator, comparator) in enumerate(zip(node.ops, node.comparators, strict=True)):
        # Python stops at the first comparison that is false.
        right = maybe(frame, comparator) if index else frame.evaluate(comparator)
        results.append(_comparison(frame, operator, left, right, node))
        left = right
    if len(results) > 1:
        for result in results[:-1]:
            truth(frame, result, node)
    return join(*results)


def _comparison(
    frame: Frame, operator: ast.cmpop, left: Value, right: Value, node: ast.AST
) -> Value:
    if isinstance(operator, (ast.Is, ast.IsNot)):
        return identical(frame, left, right, node)
    if isinstance(operator, (ast.In, ast.NotIn)):
        return contains(frame, right, left, node)
    return compare(frame, _COMPARISONS[type(operator)], left, right, node)


@expression(ast.JoinedStr)
def _f_string(frame: Frame, node: ast.JoinedStr) -> Value:
    for part in node.values:
        frame.evaluate(part)
    return SCALAR


@expression(ast.FormattedValue)
def _formatted(frame: Frame, node: ast.FormattedValue) -> Value:
    operation = _CONVERSIONS.get(node.conversion, "__format__")
    value = frame.evaluate(node.value)
    unary(frame, operation, value, node)
    if node.format_spec is not None:
        frame.evaluate(node.format_spec)
    return SCALAR


@expression(ast.BinOp)
def _binary_op(frame: Frame, node: ast.BinOp) -> Value:
    left, right = frame.evaluate(node.left), frame.evaluate(node.right)
    if isinstance(node.op, ast.BitOr):
        piped = pipe(frame, left, right, node)
        if piped is not None:
            return piped
    return binary(frame, OPERATORS[type(node.op)], left, right, node)


@expression(ast.Lambda)
def _lambda(frame: Frame, node: ast.Lambda) -> Value:
    return frozenset({Closure(node, parameter_defaults(frame, node.args), frame)})
