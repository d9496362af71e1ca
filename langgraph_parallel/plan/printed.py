"""From calls as planners print them to steps.

    Plan: Find the capital. #E1 = Search[capital of Peru]       ReWOO (arXiv 2305.18323)
    2. search("population of $1", limit=3)                      LLMCompiler (arXiv 2312.04511)

The same as one text, as a list of such lines, or as the tuples that the parsers of the two make:
`(plan, "#E1", tool, input)` and `(thought, number, tool, arguments, …)`. What an LLMCompiler plan
refers to is all that it depends on, by the definition of its format; `join` is no step. Arguments
are literals and never evaluated; positional ones become the input `args`, the text between the
brackets of ReWOO the input `input`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any, Final

_REWOO: Final = re.compile(
    r"(?:^|\n)[^\S\n]*(?:Plan:[^\S\n]*(?P<plan>[^\n]*?)\s*)?#(?P<id>E\d{1,6})\s*=\s*"
    r"(?P<tool>[\w.-]+)[^\S\n]*\[(?P<input>[^\n]*)\][^\S\n]*(?=\n|$)"
)
_COMPILED: Final = re.compile(
    r"(?:^|\n)[^\S\n]*(?:Thought:[^\S\n]*(?P<plan>[^\n]*)\n\s*)?(?P<id>\d{1,6})\.[^\S\n]*"
    r"(?P<tool>[A-Za-z_][\w.-]*)\((?P<input>[^\n]*)\)[^\S\n]*(?:#[^\n]*|<END_OF_PLAN>)?[^\S\n]*(?=\n|$)"
)
_REFERENCE: Final = re.compile(r"\$\{?(\d{1,6})\}?(?![\w,.]*\d)(?!\w)")
_PRICE_BEFORE: Final = re.compile(
    r"\b(?:under|below|over|above|for|at|costs?|priced?|worth|than|least|most|to|budget of|fee of"
    r"|price of|about|around|only|pay|paid|spend|up to)\s*$",
    re.IGNORECASE,
)
_PRICE_AFTER: Final = re.compile(
    r"\s*(?:or (?:less|more|under)|million|billion|k\b|per\b|each\b|off\b"
    r"|an? (?:hour|day|month|year|night))",
    re.IGNORECASE,
)
_END: Final = frozenset(["join", "join()", "finish"])
_LONGEST: Final = 200_000
"""Characters of a plan that is looked at."""


def read_printed(plan: Any) -> list[Any]:
    """Return the steps of a printed plan as dicts; empty when it is none."""
    if isinstance(plan, bytes):
        plan = plan.decode()
    if isinstance(plan, str):
        return _read_text(plan)
    if not plan or not isinstance(plan, Sequence):
        return []
    if all(isinstance(step, str) for step in plan):
        found = [_read_text(step) for step in plan]
        is_call = [
            bool(steps) or step.strip() in ("", "<END_OF_PLAN>") or _is_end(step)
            for steps, step in zip(found, plan, strict=True)
        ]
        return [step for steps in found for step in steps] if all(is_call) else []
    if all(isinstance(step, tuple) for step in plan):
        read = [_read_tuple(step) for step in plan]
        return [step for step in read if step["tool"] not in _END] if all(read) else []
    return []


def _read_text(text: str) -> list[dict[str, Any]]:
    if len(text) > _LONGEST:
        return []
    if found := list(_REWOO.finditer(text)):
        return [_rewoo(m["plan"] or "", m["id"], m["tool"], m["input"]) for m in found]
    calls = list(_COMPILED.finditer(text))
    return [
        _compiled(m["plan"] or "", m["id"], m["tool"], m["input"])
        for m in calls
        if m["tool"] not in _END
    ]


def _is_end(step: str) -> bool:
    found = _COMPILED.fullmatch(step)
    return found is not None and found["tool"] in _END


def _read_tuple(step: tuple[Any, ...]) -> dict[str, Any]:
    """Return a step that a planner's own parser has read; empty when it is none."""
    if len(step) >= 4 and re.fullmatch(r"#E\d+", str(step[1])):
        return _rewoo(str(step[0]), str(step[1])[1:], str(step[2]), str(step[3]))
    if len(step) in (4, 5) and isinstance(step[0], str) and re.fullmatch(r"\d+", str(step[1])):
        return _compiled(step[0], str(step[1]), str(step[2]), step[3])
    is_number = len(step) == 4 and isinstance(step[0], int) and isinstance(step[3], (list, tuple))
    if is_number:
        number, tool, arguments, needs = step
        return {**_compiled("", str(number), str(tool), arguments), "depends_on": list(needs)}
    return {}


def _rewoo(plan: str, name: str, tool: str, text: str) -> dict[str, Any]:
    return {"id": name, "description": plan.strip(), "tool": tool, "inputs": {"input": text}}


def _compiled(thought: str, number: str, tool: str, arguments: Any) -> dict[str, Any]:
    needs = _needs(str(arguments), int(number))
    inputs = _inputs(arguments) if isinstance(arguments, str) else _named(arguments)
    return {
        "id": number,
        "description": thought.strip(),
        "tool": tool,
        "inputs": inputs,
        "depends_on": needs,
    }


def _needs(text: str, number: int) -> list[str]:
    """Return the earlier steps that a call refers to; `under $5` is a price."""
    found = []
    for match in _REFERENCE.finditer(text):
        is_price = "{" not in match[0] and (
            _PRICE_BEFORE.search(text[: match.start()]) or _PRICE_AFTER.match(text, match.end())
        )
        if not is_price and int(match[1]) < number and match[1] not in found:
            found.append(match[1])
    return found


def _inputs(text: str) -> dict[str, Any]:
    """Return the arguments of a call; all of the text as one where they are no literals."""
    quoted = _quote(text)
    try:
        call = ast.parse(f"f({quoted})", mode="eval").body
        if not isinstance(call, ast.Call) or any(k.arg is None for k in call.keywords):
            return {"args": [text]}
        inputs = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
        args = [ast.literal_eval(argument) for argument in call.args]
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return {"args": [text.strip()]} if text.strip() else {}
    return {"args": args, **inputs} if args else inputs


def _quote(text: str) -> str:
    """Put references that stand outside of quotations into some."""
    pieces = re.split(r"(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')", text)
    return "".join(
        piece if k % 2 else _REFERENCE.sub(lambda m: f'"{m[0]}"', piece)
        for k, piece in enumerate(pieces)
    )


def _named(arguments: Any) -> dict[str, Any]:
    if isinstance(arguments, dict):
        return arguments
    return {"args": list(arguments) if isinstance(arguments, (list, tuple)) else [arguments]}
