"""From displays and comprehensions to containers, and from targets to what is bound to them."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator

from langgraph_parallel.inference.door.filling import cell_at, collected, merge_into, put_at
from langgraph_parallel.inference.door.injected import chosen_settings
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.door.operators import truth
from langgraph_parallel.inference.machine.certainty import constants_of, strings_of
from langgraph_parallel.inference.machine.frame import Frame, expression
from langgraph_parallel.inference.machine.recorder import GiveUpError
from langgraph_parallel.inference.machine.values import NOTHING, Cell, Injected, Value, const, join


@expression(ast.Dict)
def _dict(frame: Frame, node: ast.Dict) -> Value:
    cell = cell_at(frame, node)
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        if key_node is None:
            for atom in frame.evaluate(value_node):
                merge_into(frame, cell, atom, node)
        else:
            key = frame.evaluate(key_node)
            put_at(frame, cell, key, frame.evaluate(value_node), node, value_node)
    return frozenset({cell})


@expression(ast.List, ast.Tuple, ast.Set)
def _display(frame: Frame, node: ast.List | ast.Tuple | ast.Set) -> Value:
    parts = [frame.evaluate(element) for element in node.elts]
    constants = [constants_of(part) for part in parts]
    if isinstance(node, ast.Tuple) and all(c is not None and len(c) == 1 for c in constants):
        return const(tuple(next(iter(c)) for c in constants if c))
    if isinstance(node, ast.Set):
        frame.use(join(*parts), node)  # it hashes and compares them
    return collected(frame, node, join(*parts))


def iterate_over(frame: Frame, node: ast.expr, *, is_async: bool = False) -> Value:
    """Return what a loop over the expression `node` binds, keeping the constants of a display."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)) and not any(
        isinstance(e, ast.Starred) for e in node.elts
    ):
        return join(*(frame.evaluate(element) for element in node.elts))
    return iterate(frame, frame.evaluate(node), node, is_async=is_async)


@expression(ast.GeneratorExp)
def _generator(frame: Frame, node: ast.GeneratorExp) -> Value:
    entry = (frame, node)
    if entry not in frame.recorder.generators:
        frame.recorder.generators.append(entry)
    return _comprehension(frame, node)


@expression(ast.ListComp, ast.SetComp)
def _comprehension(frame: Frame, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Value:
    with frame.watched(node), _own_variables(frame, node.generators):
        bind_generators(frame, node.generators)
        with frame.watched(node.elt):
            parts = frame.evaluate(node.elt)
    if isinstance(node, ast.SetComp):
        frame.use(parts, node)
    return collected(frame, node, parts)


@expression(ast.DictComp)
def _dict_comprehension(frame: Frame, node: ast.DictComp) -> Value:
    with frame.watched(node), _own_variables(frame, node.generators):
        bind_generators(frame, node.generators)
        index, value = frame.evaluate(node.key), frame.evaluate(node.value)
    cell = cell_at(frame, node)
    put_at(frame, cell, index, value, node)
    return frozenset({cell})


@contextlib.contextmanager
def _own_variables(frame: Frame, generators: list[ast.comprehension]) -> Iterator[None]:
    """Let the variables of a comprehension hide those of the same name around it."""
    targets = [part for g in generators for part in ast.walk(g.target)]
    names = {part.id for part in targets if isinstance(part, ast.Name)}
    around = {} if frame.env is None else frame.env
    hidden = {name: around.pop(name) for name in names if name in around}
    for name in names - frame.local_names:
        if frame.env is not None and frame.knows(name):
            # An inner function that is run later may mean the one around it.
            frame.history[name] = join(frame.history.get(name, NOTHING), frame.lookup(name))
    try:
        yield
    finally:
        if frame.env is not None:
            for name in names:
                frame.env.pop(name, None)
            frame.env.update(hidden)


def bind_generators(frame: Frame, generators: list[ast.comprehension]) -> None:
    """Bind the variables of a comprehension, turn by turn added to what they were before."""
    frame.weak += 1
    try:
        for generator in generators:
            with frame.watched(generator.iter):
                if not _bind_entries(frame, generator):
                    found = iterate_over(frame, generator.iter, is_async=bool(generator.is_async))
                    bind_target(frame, generator.target, found)
            for part in generator.ifs:
                with frame.watched(part):
                    truth(frame, frame.evaluate(part), part)
    finally:
        frame.weak -= 1


def _bind_entries(frame: Frame, generator: ast.comprehension) -> bool:
    """Bind `for k, v in mapping.items()` one by one; return whether that could be done."""
    target, call = generator.target, generator.iter
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
        return False
    pair = target.elts if isinstance(target, ast.Tuple) else []
    if len(pair) != 2 or call.func.attr != "items" or call.args or call.keywords:
        return False
    mapping = frame.evaluate(call.func.value)
    found = _settings_in(frame, mapping, pair[0], generator.ifs)
    entries = [found] if found is not None else []
    for atom in mapping:
        if isinstance(atom, Cell) and atom.kind == "dict" and not (atom.spread or atom.shared):
            whole: Value = frozenset({atom})
            entries.append((iterate(frame, whole, call), atom.everything()))
        elif not (isinstance(atom, Injected) and found is not None):
            return False
    for entry in entries:
        for part, value in zip(pair, entry, strict=True):
            bind_target(frame, part, value)
    return True


def _settings_in(
    frame: Frame, mapping: Value, key: ast.expr, ifs: list[ast.expr]
) -> tuple[Value, Value] | None:
    """Return the keys and values of `for k, v in configurable.items() if k in names`.

    None: not all names are known, or one is that of what the engine puts there.
    """
    settings = [atom for atom in mapping if isinstance(atom, Injected)]
    test = ifs[0] if ifs else None
    if len(settings) != 1 or not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    if not isinstance(test.ops[0], ast.In) or ast.unparse(test.left) != ast.unparse(key):
        return None
    names = strings_of(iterate(frame, frame.evaluate(test.comparators[0]), test))
    return chosen_settings(frame, settings[0], names, test)


def bind_target(frame: Frame, target: ast.expr, value: Value) -> None:
    """Assign `value` to a variable or to several by unpacking; other targets have own rules."""
    if isinstance(target, ast.Name):
        frame.bind(target.id, value)
    elif isinstance(target, ast.Starred):
        bind_target(frame, target.value, collected(frame, target, value))
    elif isinstance(target, (ast.Tuple, ast.List)):
        for element, part in zip(target.elts, unpack(frame, value, target), strict=True):
            bind_target(frame, element, part)
    else:
        msg = "an assignment target is not understood"
        raise GiveUpError(msg)


def unpack(frame: Frame, value: Value, target: ast.Tuple | ast.List) -> list[Value]:
    """Return what each of several targets gets."""
    count = len(target.elts)
    constants = constants_of(value)
    if constants and all(isinstance(c, tuple) and len(c) == count for c in constants):
        return [join(*(frame.live(c[i]) for c in constants)) for i in range(count)]
    parts = iterate(frame, value, target)
    return [parts] * count
