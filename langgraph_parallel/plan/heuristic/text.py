"""From the text of a step to what can be read off it: verb, words, marks and open arguments.

Nothing is parsed as a language or evaluated: words are cut at anything that is no letter or digit,
endings are taken off, and a few closed lists tell what a verb or a small word says.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from langgraph_parallel.plan.task import Task

_WORD: Final = re.compile(r"[a-z]+|\d+(?:\.\d+)?")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CALL: Final = re.compile(r"\s*([A-Za-z_][\w.\-/ ]{0,80}?)\s*\((.*)\)\s*", re.DOTALL)
_ARGUMENT: Final = re.compile(r'"([^"\\]{1,80})"\s*:')
_OPEN: Final = re.compile(r"<[^<>\n]{1,60}>|\{\{[^{}\n]{1,60}\}\}|\bTBD\b")
_MOST_CHARACTERS: Final = 600
"""Characters of a step that are read; what a step needs is said at its start."""

_STOP: Final = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "to",
        "in",
        "on",
        "at",
        "for",
        "from",
        "with",
        "by",
        "and",
        "or",
        "as",
        "is",
        "are",
        "be",
        "been",
        "was",
        "were",
        "will",
        "would",
        "can",
        "could",
        "should",
        "may",
        "might",
        "do",
        "does",
        "did",
        "has",
        "have",
        "had",
        "it",
        "its",
        "this",
        "that",
        "these",
        "those",
        "they",
        "them",
        "their",
        "he",
        "she",
        "his",
        "her",
        "him",
        "you",
        "your",
        "yours",
        "i",
        "my",
        "me",
        "we",
        "our",
        "us",
        "if",
        "then",
        "else",
        "when",
        "while",
        "after",
        "before",
        "once",
        "until",
        "so",
        "such",
        "than",
        "too",
        "very",
        "not",
        "no",
        "into",
        "onto",
        "up",
        "down",
        "out",
        "off",
        "over",
        "under",
        "about",
        "between",
        "through",
        "during",
        "any",
        "some",
        "all",
        "each",
        "every",
        "both",
        "more",
        "most",
        "other",
        "another",
        "same",
        "own",
        "just",
        "only",
        "also",
        "there",
        "here",
        "what",
        "which",
        "who",
        "whom",
        "whose",
        "how",
        "where",
        "why",
        "make",
        "sure",
        "need",
        "using",
        "use",
        "via",
        "per",
    ]
)
_GATHER: Final = frozenset(
    [
        "get",
        "find",
        "search",
        "look",
        "retriev",
        "fetch",
        "gather",
        "collect",
        "obtain",
        "buy",
        "purchas",
        "pick",
        "grab",
        "identif",
        "check",
        "list",
        "query",
        "browse",
        "research",
        "locat",
        "acquir",
        "scan",
        "read",
        "lookup",
        "select",
        "choos",
        "decid",
        "bring",
        "borrow",
    ]
)
_SYNTHESIZE: Final = frozenset(
    [
        "calculat",
        "comput",
        "combin",
        "compar",
        "summar",
        "analyz",
        "analys",
        "writ",
        "creat",
        "mix",
        "assembl",
        "add",
        "multipl",
        "subtract",
        "divid",
        "solv",
        "answer",
        "determin",
        "evaluat",
        "generat",
        "merg",
        "display",
        "return",
        "report",
        "finish",
        "complet",
        "test",
        "enjoy",
        "serv",
        "cook",
        "bake",
        "place",
        "put",
        "apply",
        "submit",
        "conclud",
        "review",
    ]
)
_PRONOUNS: Final = frozenset(
    ["it", "them", "this", "these", "that", "those", "they", "their", "its"]
)
_RESULTS: Final = frozenset(
    [
        "result",
        "previous",
        "above",
        "obtained",
        "retrieved",
        "identified",
        "selected",
        "found",
        "chosen",
        "calculated",
        "combined",
        "final",
        "resulting",
        "step",
        "steps",
        "following",
        "finally",
        "answer",
        "information",
    ]
)
_GROUPS: Final = frozenset(
    ["both", "together", "all", "each", "everything", "two", "values", "sum", "total", "difference"]
)
_AFTER: Final = frozenset(
    ["after", "once", "then", "when", "until", "before", "while", "next", "again", "repeat"]
)
_NUMBERS: Final = frozenset(
    [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "first",
        "second",
        "third",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepText:
    """What was read off one step."""

    words: tuple[str, ...]
    """All words in order, lower case."""
    content: tuple[str, ...]
    """Stems of the words that carry meaning, in order, each once."""
    verb: str
    """Stem of the first word that carries meaning; empty when there is none."""
    last: str
    """Stem of the last word that carries meaning; empty when there is none."""
    tool: str
    """Name of the tool when the step is a call; empty otherwise."""
    tool_words: frozenset[str]
    """Stems of the words in the tool's name."""
    open_arguments: tuple[frozenset[str], ...]
    """For each argument without a value of its own, the stems of its name."""
    arguments: int
    """How many arguments the call has; 0 when it is none."""
    labels: frozenset[str]
    """Stems of the words in the arguments' names."""
    values: frozenset[str]
    """Numbers and texts in quotes."""
    marks: tuple[int, ...]
    """Counts: pronouns, words for results, for groups, for times, numerals, `the`; gathering verb,
    synthesizing verb, -ed words, a full stop at the end, a capital at the start."""


def cut_ending(word: str) -> str:
    """Return a word without its common endings."""
    for ending in (
        "ations",
        "ation",
        "ingly",
        "ings",
        "ing",
        "ies",
        "ied",
        "ers",
        "es",
        "ed",
        "er",
        "ly",
        "s",
        "e",
        "y",
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def as_text(task: Task) -> str:
    """Return a task in words, a tool call as `tool("name": value, …)` with rising names."""
    if not task.tool:
        return task.description or task.expected_output or task.id
    inside = ", ".join(
        f"{json.dumps(name)}: {json.dumps(value, default=str)}"
        for name, value in sorted(task.inputs.items())
    )
    return f"{task.tool}({inside})"


def read_step(text: str) -> StepText:
    """Return what can be read off a step's text, of which only the start is looked at."""
    text = text.strip()[:_MOST_CHARACTERS]
    call = _CALL.fullmatch(text)
    call = call if call and (_ARGUMENT.search(call[2]) or not call[2].strip()) else None
    words = tuple(_WORD.findall(_CAMEL.sub(" ", text).lower()))
    stems = [cut_ending(word) for word in words if word not in _STOP]
    tool, inside = (call[1], call[2]) if call else ("", "")
    return StepText(
        words=words,
        content=tuple(dict.fromkeys(stems)),
        verb=stems[0] if stems else "",
        last=stems[-1] if stems else "",
        tool=tool,
        tool_words=_name_words(tool),
        open_arguments=_open_arguments(inside),
        arguments=len(_ARGUMENT.findall(inside)),
        labels=frozenset().union(*map(_name_words, _ARGUMENT.findall(inside))),
        values=frozenset(re.findall(r"'[^']{2,40}'|\"[^\"]{2,40}\"|\d+", text)),
        marks=_marks(text, words, stems),
    )


def _name_words(name: str) -> frozenset[str]:
    """Return the stems of the words in a name such as `getUser` or `user_id`."""
    return frozenset(map(cut_ending, _WORD.findall(_CAMEL.sub(" ", name).lower())))


def _open_arguments(inside: str) -> tuple[frozenset[str], ...]:
    """Return the stems of the names of arguments whose value is left to the context."""
    names = [(m.end(), m[1]) for m in _ARGUMENT.finditer(inside)]
    found = []
    for k, (start, name) in enumerate(names):
        end = names[k + 1][0] if k + 1 < len(names) else len(inside)
        value = inside[start:end]
        if _OPEN.search(value):
            found.append(_name_words(name))
    return tuple(found)


def _marks(text: str, words: tuple[str, ...], stems: list[str]) -> tuple[int, ...]:
    verb = stems[0] if stems else ""
    counted = [
        sum(word in group for word in words)
        for group in (_PRONOUNS, _RESULTS, _GROUPS, _AFTER, _NUMBERS)
    ]
    return (
        *counted,
        words.count("the"),
        int(verb in _GATHER),
        int(verb in _SYNTHESIZE),
        sum(word.endswith("ed") and len(word) > 4 for word in words[1:]),
        int(text.endswith(".")),
        int(text[:1].isupper()),
    )
