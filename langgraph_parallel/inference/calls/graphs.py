"""From a whole graph that a node runs to what its nodes do, and to the dictionary that it gives.

answer = research.invoke({"question": state["question"]})     a compiled graph, run in a node
return {"notes": answer["notes"]}                             what its annotations promise
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any, Final

from langgraph_parallel.effects import ALL, MAY_ROUTE, Keys, union
from langgraph_parallel.inference.calls.handlers import run_handlers
from langgraph_parallel.inference.code.framework import Summary, framework
from langgraph_parallel.inference.door.filling import collected
from langgraph_parallel.inference.door.state_keys import from_state
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import is_quiet, rooted
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    GIVEN,
    NOTHING,
    WORLD,
    Cell,
    Chain,
    Data,
    Injected,
    State,
    Value,
    const,
    join,
    opaque,
    roots_of,
    tame,
)
from langgraph_parallel.locations import ANYWHERE


def run_graph(frame: Frame, obj: Any, value: Value, node: ast.AST) -> Value:
    """Run a graph: it reads its input keys, and its nodes' contacts become the node's."""
    where = frame.where(node)
    summary = framework().summarize(obj, frame.recorder.memory)
    roots: Keys = frozenset()
    if State() in value:
        reads = summary.effects.reads
        if reads is ALL:
            frame.recorder.read_all("passed to a sub-graph", where)
            roots = ALL
        for key in sorted(reads) if reads is not ALL else ():
            roots = union(roots, roots_of(from_state(frame, const(key), node)))
        value = value - {State()}
    roots = union(roots, roots_of(value))
    hands_back = summary.hands_back and not _is_copied(value, summary.copies)
    keeps = hands_back or bool(summary.effects.mutates)
    frame.escape(value if keeps else _parts(value), "passed to a sub-graph", where)
    _record(frame, obj, summary, roots, node)
    if summary.effects.writes is ALL:
        cell = frame.recorder.cells.setdefault(id(obj), Cell())
        cell.open = cell.shared = True
        cell.roots = ALL
        return frozenset({cell})
    return answered(frame, (id(obj), id(node)), _answers(summary), roots)


def _is_copied(value: Value, copies: frozenset[str]) -> bool:
    """Tell whether a graph copies every value of the dictionaries that it may be given."""
    return all(
        isinstance(a, Cell) and not a.open and not a.spread and not a.rest and a.keys <= copies
        for a in value
    )


def _parts(value: Value) -> Value:
    """Return what the containers made in the node hold that a value is, and all else that it is."""
    found: Value = NOTHING
    for atom in value:
        inner = _parts(atom.everything()) if isinstance(atom, Cell) else frozenset({atom})
        found = join(found, inner)
    return found


def _answers(summary: Summary) -> Iterable[tuple[str, Value]]:
    writes = summary.effects.writes
    for key in sorted(writes) if writes is not ALL else ():
        yield key, summary.gives.get(key) or opaque(ALL)


def answered(frame: Frame, place: Any, answers: Iterable[tuple[str, Value]], roots: Keys) -> Value:
    """Return the dictionary that running a graph makes.

    Args:
        frame: Where it is run.
        place: What tells this dictionary from others.
        answers: What it holds, by key.
        roots: What it was given, which its values may be or hold.
    """
    cell = frame.recorder.cells.setdefault(place, Cell())
    for key, value in answers:
        frame.recorder.grown |= cell.put(key, rooted(value, roots))
    return frozenset({cell})


def _record(frame: Frame, obj: Any, summary: Summary, roots: Keys, node: ast.AST) -> None:
    """Take over what the nodes and routers of a graph do."""
    inner, where, recorder = summary.effects, frame.where(node), frame.recorder
    run_handlers(frame, obj, node)
    for place in inner.looks_at:
        recorder.look(place, where)
    for place in inner.changes:
        recorder.change(place, where, opaque())
    for contact in sorted(inner.external):
        cause = next((e for e in inner.evidence if e.effect == contact), None)
        if cause is None or contact == "model":
            recorder.contact(contact, f"a sub-graph makes a {contact} call", where)
        else:
            recorder.contact(contact, cause.what, cause.where)
    for control in sorted(inner.control - {"step"}):
        is_seen = inner.certain and control not in ("goto", "send")
        effect = "" if is_seen else MAY_ROUTE
        recorder.leave(control, f"a sub-graph may {control}", where, inner.goto, effect)
    recorder.resources |= inner.resources
    outside = roots is ALL or bool({WORLD, GIVEN} & roots)
    if outside:
        recorder.look(ANYWHERE, where)
    if inner.mutates:
        recorder.mutate(roots, "a node of a sub-graph", where, opaque(), ANYWHERE)


def as_chain_of_graph(frame: Frame, obj: Any, node: ast.AST) -> Chain:
    """Return a graph as a runnable of known parts; what running it does counts as done here."""
    summary = framework().summarize(obj, frame.recorder.memory)
    _record(frame, obj, summary, ALL if summary.effects.mutates else frozenset(), node)
    answers = tuple(_answers(summary))
    return Chain(summary.effects.external, _chunk(answers), answers)


def _chunk(answers: Iterable[tuple[str, Value]]) -> Value:
    """Return what a part of a graph's stream may be."""
    return tame() if all(is_quiet(value) for _, value in answers) else opaque()


_SETTINGS: Final = frozenset({"config", "context", "durability", "debug", "input"})
"""Arguments that leave the form of what a graph gives as it is."""


def graph_method(frame: Frame, obj: Any, name: str, given: Arguments) -> Value | None:
    """Return what a method of a live graph gives; None when it is none that is known."""
    if name not in _RUNS or given.unpacked:
        return None
    value = given.positional[0] if given.positional else given.named.get("input", NOTHING)
    settings = join(*given.positional[1:], *(v for k, v in given.named.items() if k != "input"))
    passed = frozenset(atom for atom in settings if not isinstance(atom, Injected))
    frame.escape(passed, "passed to a graph", frame.where(given.node))
    return graph_result(name, run_graph(frame, obj, value, given.node), given, frame)


def graph_result(name: str, one: Value, given: Arguments, frame: Frame) -> Value:
    """Return what a method gives that runs a graph, where one run gives `one`."""
    if name in ("invoke", "ainvoke") and given.named.keys() <= _SETTINGS:
        return one
    roots = roots_of(one)
    if name in ("batch", "abatch"):
        return collected(frame, given.node, one)
    cells = [atom for atom in one if isinstance(atom, Cell)]
    known = [pair for cell in cells for pair in cell.values.items()]
    quiet = len(cells) == len(one) and not any(cell.open for cell in cells)
    part = rooted(_chunk(known) if quiet else opaque(), roots)
    if name in ("invoke", "ainvoke"):
        return part
    return frozenset({Data(roots, own=True, plain=True, deep=False, parts=part)})


_RUNS: Final = frozenset(
    {
        *("invoke", "ainvoke", "batch", "abatch", "stream", "astream"),
        *("stream_events", "astream_events"),
    }
)
