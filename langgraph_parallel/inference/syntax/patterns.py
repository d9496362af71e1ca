"""From a `match` to what its patterns look at in the subject, and what they bind."""

from __future__ import annotations

import ast
from typing import Any, Final

from langgraph_parallel.inference.code.datamodel import find, is_a
from langgraph_parallel.inference.door.attributes import get_attribute
from langgraph_parallel.inference.door.filling import collected, merge_into
from langgraph_parallel.inference.door.items import get_item
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.door.operators import compare
from langgraph_parallel.inference.door.state_keys import from_state
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Env, Frame, join_envs, statement, unknown
from langgraph_parallel.inference.machine.recorder import GiveUpError
from langgraph_parallel.inference.machine.values import (
    Atom,
    Cell,
    Live,
    Made,
    Object,
    State,
    Value,
    join,
    opaque,
)
from langgraph_parallel.inference.syntax.expressions import condition


@statement(ast.Match)
def _match(frame: Frame, node: ast.Match) -> None:
    subject = frame.evaluate(node.subject)
    before = dict(frame.env or {})
    ends: list[Env | None] = []
    for case in node.cases:
        frame.env = dict(before)
        match_pattern(frame, case.pattern, subject)
        if case.guard is not None:
            condition(frame, case.guard)
        # Names stay bound when the guard, or a later part of the pattern, fails.
        before = join_envs(before, frame.env) or before
        frame.run(case.body)
        ends.append(frame.env)
    frame.env = join_envs(before, *ends)


def match_pattern(frame: Frame, pattern: ast.pattern, subject: Value) -> None:
    """Bind the names of a pattern; what it looks at in the subject is looked at."""
    rule = _PATTERNS.get(type(pattern))
    if rule is None:
        msg = f"{type(pattern).__name__} is not understood"
        raise GiveUpError(msg)
    rule(frame, pattern, subject)


def _match_as(frame: Frame, pattern: ast.MatchAs, subject: Value) -> None:
    if pattern.pattern is not None:
        match_pattern(frame, pattern.pattern, subject)
    if pattern.name is not None:
        frame.bind(pattern.name, subject)


def _match_or(frame: Frame, pattern: ast.MatchOr, subject: Value) -> None:
    frame.weak += 1
    for part in pattern.patterns:
        match_pattern(frame, part, subject)
    frame.weak -= 1


def _match_value(frame: Frame, pattern: ast.MatchValue, subject: Value) -> None:
    compare(frame, "__eq__", subject, frame.evaluate(pattern.value), pattern)


def _match_singleton(frame: Frame, pattern: ast.MatchSingleton, subject: Value) -> None:
    del frame, pattern, subject  # `is None`: there is only one


def _match_sequence(frame: Frame, pattern: ast.MatchSequence, subject: Value) -> None:
    parts = iterate(frame, subject, pattern)
    for atom in subject:
        if isinstance(atom, (Live, Object)):
            frame.use(frozenset({atom}), pattern)  # its length and items
    for part in pattern.patterns:
        match_pattern(frame, part, parts)


def _match_star(frame: Frame, pattern: ast.MatchStar, subject: Value) -> None:
    if pattern.name is not None:
        frame.bind(pattern.name, collected(frame, pattern, subject))


def _match_mapping(frame: Frame, pattern: ast.MatchMapping, subject: Value) -> None:
    for key, inner in zip(pattern.keys, pattern.patterns, strict=True):
        index = frame.evaluate(key)
        found = join(*(_matched(frame, atom, index, pattern) for atom in subject))
        match_pattern(frame, inner, found)
    if pattern.rest is not None:
        cell = frame.recorder.cells.setdefault(id(pattern), Cell())
        for atom in subject:
            merge_into(frame, cell, atom, pattern)
            if isinstance(atom, State):
                from_state(frame, opaque(), pattern)
        frame.bind(pattern.rest, frozenset({cell}))


def _matched(frame: Frame, atom: Atom, index: Value, pattern: ast.pattern) -> Value:
    if isinstance(atom, State):
        return from_state(frame, index, pattern)
    if isinstance(atom, (Live, Made, Object)):
        frame.use(frozenset({atom}), pattern)  # `keys`, `get`
    return get_item(frame, frozenset({atom}), index, pattern)


def _match_class(frame: Frame, pattern: ast.MatchClass, subject: Value) -> None:
    classes = frame.evaluate(pattern.cls)
    frame.call(frozenset({Live(isinstance)}), Arguments(pattern, (subject, classes)))
    names = list(pattern.kwd_attrs)
    places: list[str] = []
    for atom in classes:
        if isinstance(atom, Live) and is_a(atom.obj, type):
            found = find(atom.obj, "__match_args__")
            places += list(found[1]) if found and is_a(found[1], tuple) else []
        else:
            unknown(frame, "matches an unknown class", join(classes, subject), pattern)
    for index, part in enumerate(pattern.patterns):
        if index < len(places):
            match_pattern(frame, part, get_attribute(frame, subject, places[index], pattern))
        else:
            match_pattern(frame, part, subject)  # `str(x)` and the like match the subject itself
    for name, part in zip(names, pattern.kwd_patterns, strict=True):
        match_pattern(frame, part, get_attribute(frame, subject, name, pattern))


_PATTERNS: Final[dict[type[ast.pattern], Any]] = {
    ast.MatchAs: _match_as,
    ast.MatchOr: _match_or,
    ast.MatchValue: _match_value,
    ast.MatchSingleton: _match_singleton,
    ast.MatchSequence: _match_sequence,
    ast.MatchStar: _match_star,
    ast.MatchMapping: _match_mapping,
    ast.MatchClass: _match_class,
}
"""The rule for each kind of pattern."""
