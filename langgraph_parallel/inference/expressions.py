"""Names, operators and lambdas: what each may be, and what evaluating it does."""

from __future__ import annotations

import ast
from typing import Any

from langgraph_parallel.inference.access import consume, read_keys, truth
from langgraph_parallel.inference.containers import merged_dict
from langgraph_parallel.inference.external import external_of, is_runnable, yields_of
from langgraph_parallel.inference.frame import Frame, expression
from langgraph_parallel.inference.values import (
    SCALAR,
    Cell,
    Chain,
    Closure,
    Const,
    Data,
    Live,
    State,
    Value,
    const,
    fresh,
    is_deep,
    join,
    opaque,
    roots_of,
)


@expression(ast.Constant)
def _constant(_frame: Frame, node: ast.Constant) -> Value:
    return const(node.value)


@expression(ast.Name)
def _name(frame: Frame, node: ast.Name) -> Value:
    return frame.lookup(node.id)


@expression(ast.NamedExpr)
def _walrus(frame: Frame, node: ast.NamedExpr) -> Value:
    value = frame.evaluate(node.value)
    frame.bind(node.target.id, value)
    return value


@expression(ast.Await)
def _await(frame: Frame, node: ast.Await) -> Value:
    return frame.evaluate(node.value)


@expression(ast.Slice)
def _slice(frame: Frame, node: ast.Slice) -> Value:
    for part in (node.lower, node.upper, node.step):
        frame.evaluate(part)
    return SCALAR


@expression(ast.IfExp)
def _if_expression(frame: Frame, node: ast.IfExp) -> Value:
    truth(frame, node.test)
    return join(_maybe(frame, node.body), _maybe(frame, node.orelse))


@expression(ast.BoolOp)
def _bool_op(frame: Frame, node: ast.BoolOp) -> Value:
    first, *rest = node.values
    return join(truth(frame, first), *(_maybe(frame, value) for value in rest))


def _maybe(frame: Frame, node: ast.expr) -> Value:
    """Evaluate an operand that may be skipped: a walrus inside only adds to its variable."""
    frame.weak += 1
    try:
        return truth(frame, node)
    finally:
        frame.weak -= 1


@expression(ast.UnaryOp)
def _unary_op(frame: Frame, node: ast.UnaryOp) -> Value:
    value = consume(frame, frame.evaluate(node.operand), node)
    return SCALAR if isinstance(node.op, ast.Not) else _computed(value)


@expression(ast.Compare)
def _compare(frame: Frame, node: ast.Compare) -> Value:
    left = frame.evaluate(node.left)
    for operator, comparator in zip(node.ops, node.comparators, strict=True):
        right = frame.evaluate(comparator)
        contains = isinstance(operator, (ast.In, ast.NotIn)) and State() in right
        if contains and "__contains__" not in frame.recorder.shape.own_code:
            read_keys(frame, left, node)
            right = right - {State()}
        if not isinstance(operator, (ast.Is, ast.IsNot)):
            consume(frame, join(left, right), node)
        left = right
    return SCALAR


@expression(ast.JoinedStr)
def _f_string(frame: Frame, node: ast.JoinedStr) -> Value:
    for part in node.values:
        frame.evaluate(part)
    return SCALAR


@expression(ast.FormattedValue)
def _formatted(frame: Frame, node: ast.FormattedValue) -> Value:
    consume(frame, frame.evaluate(node.value), node)
    if node.format_spec is not None:
        frame.evaluate(node.format_spec)
    return SCALAR


@expression(ast.BinOp)
def _binary_op(frame: Frame, node: ast.BinOp) -> Value:
    left, right = frame.evaluate(node.left), frame.evaluate(node.right)
    if isinstance(node.op, ast.BitOr):
        chain = _pipe(left, right)
        if chain is not None:
            return chain
        if State() in left | right or any(isinstance(atom, Cell) for atom in left | right):
            return merged_dict(frame, [left, right], node)
    return _computed(join(consume(frame, left, node), consume(frame, right, node)))


def _pipe(left: Value, right: Value) -> Value | None:
    """Return the chain that `left | right` builds, or None when it builds none that is known."""
    chains = [as_chain(atom) for atom in left | right]
    if not chains or None in chains:
        return None
    external = frozenset().union(*(c.external for c in chains if c))
    ends = {c.yields for c in map(as_chain, right) if c}
    return frozenset({Chain(external, ends.pop() if len(ends) == 1 else "opaque")})


def as_chain(atom: Any) -> Chain | None:
    """Return the runnable of known parts that `atom` is, or None."""
    if isinstance(atom, Chain):
        return atom
    if not isinstance(atom, Live) or not is_runnable(atom.obj):
        return None
    external = external_of(atom.obj)
    return None if external is None else Chain(external, yields_of(atom.obj))


def _computed(operands: Value) -> Value:
    """Return the new object that an operator makes of plain operands."""
    atoms = list(operands)
    if all(isinstance(a, Const) or (isinstance(a, Data) and a.scalar) for a in atoms):
        return SCALAR
    if all(isinstance(a, (Const, Data)) for a in atoms):
        plain = all(isinstance(a, Const) or a.plain for a in atoms if isinstance(a, (Const, Data)))
        return fresh(roots_of(operands), plain=plain, deep=is_deep(operands))
    return opaque(roots_of(operands))


@expression(ast.Lambda)
def _lambda(frame: Frame, node: ast.Lambda) -> Value:
    return frozenset({Closure(node, parameter_defaults(frame, node.args), frame)})


def parameter_defaults(frame: Frame, arguments: ast.arguments) -> dict[str, Value]:
    """Return the default of each parameter that has one."""
    positional = arguments.posonlyargs + arguments.args
    late = positional[len(positional) - len(arguments.defaults) :]
    pairs = list(zip(late, arguments.defaults, strict=True))
    pairs += [(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d]
    return {argument.arg: frame.evaluate(default) for argument, default in pairs}
