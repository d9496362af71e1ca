"""What was read off one step of a plan."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from langgraph_parallel.plan.heuristic.words import Token

Kind: TypeAlias = Literal["lookup", "derive", "change", "unknown"]
"""What a step does: it asks for something; it works on what there is and leaves everything as it
was; it leaves something behind; or nobody knows."""


_NAME_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def name_words(name: str) -> frozenset[str]:
    """Return the words in a name such as `getUser` or `user_id`, in lower case."""
    return frozenset(word.lower() for word in _NAME_WORDS.findall(name))


@dataclass(frozen=True, slots=True)
class Back:
    """A place in a step that refers to what came before it."""

    text: str
    """The words."""
    nouns: frozenset[str] = frozenset()
    """Stems of what they name; empty for a word that names nothing, such as `then`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A step that is written as a call of a tool."""

    tool: str
    """Name of the tool."""
    reads: bool
    """Whether the name says that the tool only asks."""
    open_arguments: tuple[str, ...]
    """Names of the arguments whose value is left to the context."""
    words: frozenset[str]
    """Words in the tool's name."""

    @property
    def open_words(self) -> frozenset[str]:
        """Words in the names of the open arguments."""
        return frozenset(word for name in self.open_arguments for word in name_words(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepText:
    """What was read off one step."""

    language: str
    """Two letters; empty when the step is in no language that is known."""
    kind: Kind
    verb: str
    """The verb that says so; empty when none is known."""
    words: tuple[str, ...]
    """All words in order, lower case; characters where words are not set apart."""
    segments: tuple[tuple[Token, ...], ...]
    """Its sentences, lines and headings."""
    main: int = 0
    """The segment that the verb stands in."""
    names: frozenset[str] = frozenset()
    """What it calls by name: proper names, quotations, identifiers."""
    content: tuple[str, ...] = ()
    """Stems of its other words that carry meaning, in order, each once."""
    sought: frozenset[str] = frozenset()
    """Stems of the words for what it looks for."""
    sought_names: frozenset[str] = frozenset()
    """Names among them, such as `CEO`."""
    is_direct: bool = False
    """Whether a name follows on what it looks for, with nothing else to find between."""
    back: tuple[Back, ...] = ()
    """Where it refers to what came before."""
    beside: bool = False
    """Whether it says that it may run at the same time as the step before it."""
    call: Call | None = None
    """The tool call that it is; None for a step in words."""
