"""From the texts of a plan to what can be read off each step, in the language of the plan.

Nothing is parsed as a language or evaluated: tables tell what a verb or a small word says. What
stands in no table is a word of content, or a verb that is not understood.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Final

from langgraph_parallel.plan.heuristic.calls import read_call
from langgraph_parallel.plan.heuristic.lexicon import LATIN, UNSPACED, load_language
from langgraph_parallel.plan.heuristic.spaced import SpacedReader
from langgraph_parallel.plan.heuristic.step import StepText
from langgraph_parallel.plan.heuristic.unspaced import UnspacedReader
from langgraph_parallel.plan.heuristic.words import script_of, split_segments
from langgraph_parallel.plan.task import Task

_MOST_CHARACTERS: Final = 2_000
"""Characters of a step that are read; a longer one is not understood."""


def as_text(task: Task) -> str:
    """Return a task in words, a tool call as `tool("name": value, …)` with rising names."""
    if not task.tool:
        return task.description or task.expected_output or task.id
    inside = ", ".join(
        f"{json.dumps(name)}: {json.dumps(value, default=str)}"
        for name, value in sorted(task.inputs.items())
    )
    return f"{task.tool}({inside})"


def read_steps(texts: Sequence[str]) -> list[StepText]:
    """Return what can be read off the steps of one plan."""
    language = find_language(texts)
    return [read_step(text, language) for text in texts]


def read_step(text: str, language: str | None = None) -> StepText:
    """Return what can be read off a step.

    Args:
        text: Its text.
        language: Two letters, empty for one that is not known; None finds it out.
    """
    if (call := read_call(text.strip())) is not None:
        return StepText(
            language="", kind="unknown", verb=call.tool, words=(), segments=(), call=call
        )
    language = find_language([text]) if language is None else language
    segments = split_segments(text)
    if not language or not segments or len(text) > _MOST_CHARACTERS:
        words = tuple(t.folded for s in segments for t in s if t.folded)
        return StepText(
            language=language,
            kind="unknown",
            verb="",
            words=words,
            segments=tuple(map(tuple, segments)),
        )
    if language in UNSPACED:
        return UnspacedReader(load_language(language), segments).read()
    return _reader(text, language).read()


def goal_words(goal: str) -> str:
    """Return the words of a goal between single spaces; empty if it asks for an order of steps."""
    language = find_language([goal])
    if not language:
        return ""
    tokens = [token for segment in split_segments(goal) for token in segment if token.folded]
    table = load_language(language)
    is_ordered = any(table.has("sequence", token.folded) for token in tokens) or any(
        word in goal for word in table.listed("sequence") if not table.is_spaced
    )
    return "" if is_ordered else f" {' '.join(token.folded for token in tokens)} "


def find_language(texts: Sequence[str]) -> str:
    """Return the two letters of the language that a plan is in; empty when it is not known."""
    scripts = Counter(script_of(text) for text in texts if read_call(text.strip()) is None)
    for code in UNSPACED:
        if scripts[code]:
            return code
    if not scripts or scripts.most_common(1)[0][0] != "latin":
        return ""
    known = {code: sum(_reader(text, code).familiarity() for text in texts) for code in LATIN}
    best = max(LATIN, key=lambda code: known[code])
    return best if known[best] else ""


def _reader(text: str, language: str) -> SpacedReader:
    segments = split_segments(text[:_MOST_CHARACTERS])
    is_question = "?" in text
    return SpacedReader(load_language(language), segments, is_question=is_question)
