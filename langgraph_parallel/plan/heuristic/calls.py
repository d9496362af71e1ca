"""From a step written as a call, `tool("name": value, …)`, to what its name and arguments say."""

from __future__ import annotations

import re
from typing import Final

from langgraph_parallel.plan.heuristic.lexicon import load_table
from langgraph_parallel.plan.heuristic.step import Call, name_words

_CALL: Final = re.compile(r"\s*([A-Za-z_][\w.\-/ ]{0,80}?)\s*\((.*)\)\s*", re.DOTALL)
_ARGUMENT: Final = re.compile(r'"([^"\\]{1,80})"\s*:')
_OPEN: Final = re.compile(r"<[^<>\n]{1,60}>|\{\{[^{}\n]{1,60}\}\}|\bTBD\b")


def read_call(text: str) -> Call | None:
    """Return the call that a text is; None when it is none."""
    call = _CALL.fullmatch(text)
    if call is None or not (_ARGUMENT.search(call[2]) or not call[2].strip()):
        return None
    words, known = name_words(call[1]), load_table("tools")
    return Call(
        tool=call[1],
        reads=words.isdisjoint(known["changes"]) and not words.isdisjoint(known["reads"]),
        open_arguments=_open_arguments(call[2]),
        words=words,
    )


def _open_arguments(inside: str) -> tuple[str, ...]:
    names = [(match.end(), match[1]) for match in _ARGUMENT.finditer(inside)]
    found = []
    for k, (start, name) in enumerate(names):
        end = names[k + 1][0] if k + 1 < len(names) else len(inside)
        if _OPEN.search(inside[start:end]):
            found.append(name)
    return tuple(found)
