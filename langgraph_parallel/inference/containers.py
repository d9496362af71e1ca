"""Building, copying and taking apart dictionaries, lists and tuples."""

from __future__ import annotations

import ast

from langgraph_parallel.effects import ALL, union
from langgraph_parallel.inference.access import consume, live_item, truth
from langgraph_parallel.inference.frame import Frame, GiveUpError, expression
from langgraph_parallel.inference.values import (
    NOTHING,
    SCALAR,
    Cell,
    Const,
    Data,
    Live,
    Opaque,
    State,
    Value,
    const,
    constants_of,
    fresh,
    is_deep,
    join,
    opaque,
    roots_of,
    strings_of,
)


@expression(ast.Dict)
def _dict(frame: Frame, node: ast.Dict) -> Value:
    cell = cell_at(frame, node)
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        value = frame.evaluate(value_node)
        if key_node is None:
            merge_into(frame, cell, value, node)
        else:
            put_keys(frame, cell, frame.evaluate(key_node), value)
    return frozenset({cell})


def cell_at(frame: Frame, node: ast.AST) -> Cell:
    """Return the dictionary that the place `node` builds."""
    return frame.recorder.cells.setdefault(id(node), Cell())


def put_keys(frame: Frame, cell: Cell, index: Value, value: Value) -> None:
    """Store `value` in `cell` at `index`."""
    frame.leak(value)
    frame.escape(value, "put into a dictionary", frame.where(frame.source.node))
    keys = strings_of(index)
    if keys is None:
        cell.open = True
        cell.roots = union(cell.roots, roots_of(value))
        return
    for key in keys:
        cell.put(key, value)


def merge_into(frame: Frame, cell: Cell, value: Value, node: ast.AST) -> None:
    """Copy every entry of the mapping `value` into `cell`."""
    for atom in value:
        if isinstance(atom, Cell):
            cell.merge(atom)
            continue
        if isinstance(atom, State) and not frame.recorder.shape.attributes:
            cell.spread = True
            continue
        if isinstance(atom, State):
            frame.recorder.read_all("unpacked", frame.where(node))
        cell.open = True
        cell.roots = union(cell.roots, roots_of(frozenset({atom})))


def merged_dict(frame: Frame, values: list[Value], node: ast.AST) -> Value:
    """Return the dictionary that holds the entries of all `values`."""
    cell = cell_at(frame, node)
    for value in values:
        merge_into(frame, cell, value, node)
    return frozenset({cell})


@expression(ast.List, ast.Tuple, ast.Set)
def _display(frame: Frame, node: ast.List | ast.Tuple | ast.Set) -> Value:
    parts = [frame.evaluate(element) for element in node.elts]
    constants = [constants_of(part) for part in parts]
    if isinstance(node, ast.Tuple) and all(c is not None and len(c) == 1 for c in constants):
        return const(tuple(next(iter(c)) for c in constants if c))
    return _container(frame, join(*parts), node)


def _container(frame: Frame, parts: Value, node: ast.AST) -> Value:
    """Return a new list, tuple or set of `parts`."""
    frame.leak(parts)
    roots = frame.escape(parts, "put into a list", frame.where(node))
    return fresh(roots, plain=True, deep=is_deep(parts))


def elements(frame: Frame, value: Value, node: ast.AST) -> Value:
    """Return what iterating over `value` gives."""
    total: Value = NOTHING
    for atom in value:
        if isinstance(atom, Const):
            if isinstance(atom.value, (tuple, frozenset)):
                parts = [frame.live(part) for part in atom.value]
            else:
                parts = [SCALAR]
            total = join(total, *parts)
        elif isinstance(atom, State):
            frame.recorder.read_all("iterated over", frame.where(node))
            total = join(total, opaque(ALL))
        elif isinstance(atom, Live):
            consume(frame, frozenset({atom}), node)
            total = join(total, live_item(frame, atom.obj))
        elif isinstance(atom, Cell):
            if atom.spread:
                consume(frame, frozenset({atom}), node)
            roots = union(roots_of(frozenset({atom})), frame.recorder.leaked)
            total = join(total, SCALAR, opaque(roots))
        elif isinstance(atom, (Data, Opaque)):
            if isinstance(atom, Opaque) and atom.spent:
                frame.recorder.mutate(atom.roots, "may use up an iterator", frame.where(node))
            total = join(total, frame.part_of(frozenset({atom})))
        else:
            total = join(
                total, opaque(frame.escape(frozenset({atom}), "iterated over", frame.where(node)))
            )
    return total


def iterate(frame: Frame, node: ast.expr) -> Value:
    """Return what a loop over the expression `node` binds, keeping the constants of a display."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)) and not any(
        isinstance(e, ast.Starred) for e in node.elts
    ):
        return join(*(frame.evaluate(element) for element in node.elts))
    return elements(frame, frame.evaluate(node), node)


@expression(ast.GeneratorExp)
def _generator(frame: Frame, node: ast.GeneratorExp) -> Value:
    entry = (frame, node)
    if entry not in frame.recorder.generators:
        frame.recorder.generators.append(entry)
    return _comprehension(frame, node)


@expression(ast.ListComp, ast.SetComp)
def _comprehension(frame: Frame, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Value:
    with_targets(frame, node.generators)
    return _container(frame, frame.evaluate(node.elt), node)


@expression(ast.DictComp)
def _dict_comprehension(frame: Frame, node: ast.DictComp) -> Value:
    with_targets(frame, node.generators)
    index, value = frame.evaluate(node.key), frame.evaluate(node.value)
    cell = cell_at(frame, node)
    put_keys(frame, cell, index, value)
    return frozenset({cell})


def with_targets(frame: Frame, generators: list[ast.comprehension]) -> None:
    """Bind the variables of a comprehension.

    They are only added to what a variable of the same name may be: the name means the variable
    inside the comprehension and may mean another one around it.
    """
    frame.weak += 1
    try:
        for generator in generators:
            bind_target(frame, generator.target, iterate(frame, generator.iter))
            for condition in generator.ifs:
                truth(frame, condition)
    finally:
        frame.weak -= 1


def bind_target(frame: Frame, target: ast.expr, value: Value) -> None:
    """Assign `value` to a variable or to several by unpacking; other targets have own rules."""
    if isinstance(target, ast.Name):
        if target.id not in frame.local_names and frame.env is not None:
            # The variable of a comprehension: outside of it the name means something else.
            outer = frame.lookup(target.id) if frame.weak and frame.knows(target.id) else NOTHING
            frame.env.setdefault(target.id, outer)
            frame.history[target.id] = join(frame.history.get(target.id, NOTHING), outer)
        frame.bind(target.id, value)
    elif isinstance(target, ast.Starred):
        bind_target(frame, target.value, value)
    elif isinstance(target, (ast.Tuple, ast.List)):
        parts = _unpack(frame, value, len(target.elts), target)
        for element, part in zip(target.elts, parts, strict=True):
            bind_target(frame, element, part)
    else:
        msg = "an assignment target is not understood"
        raise GiveUpError(msg)


def _unpack(frame: Frame, value: Value, count: int, node: ast.expr) -> list[Value]:
    constants = constants_of(value)
    if constants and all(isinstance(c, tuple) and len(c) == count for c in constants):
        return [join(*(frame.live(c[i]) for c in constants)) for i in range(count)]
    return [elements(frame, value, node)] * count


@expression(ast.Starred)
def _starred(frame: Frame, node: ast.Starred) -> Value:
    return elements(frame, frame.evaluate(node.value), node)
