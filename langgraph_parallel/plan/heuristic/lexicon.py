"""From the tables in `languages` to what the words of a language say about a step.

    lookup | search find look_up        a row goes on where the line is indented
    derive | analys* bewert*            `_` joins words, `*` stands for any ending

lookup, derive, change   verbs: asks for something; works on what there is; leaves something behind
ask                      words that begin a question
skip                     words that may stand before the verb
numbers                  verbs of working out a number, which may need every other one
steps                    words before the number of another step
points, results, order   words that refer to an earlier step, to what it found, to when it ends
definite, named_by       articles of a thing that is known already; words between it and its name
parts                    words after which `of` brings in what is meant: `the number of`
sequence                 words by which a goal asks for an order
small, now, time         words without content; what `this` may stand before; dates
enabling                 things without which a later lookup does not work, such as a key
relational               words that mean something only with what was found before
rounds                   words whose numbers say an order: `phase 2`
together                 words that say that steps may run at the same time
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

LATIN: Final = ("en", "de", "fr", "es", "pt", "it")
"""Languages whose words are set apart, in the order in which a tie is decided."""
UNSPACED: Final = ("ja", "zh")
KINDS: Final = ("lookup", "derive", "change")


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """The words of one language."""

    code: str
    words: Mapping[str, frozenset[str]]
    """Whole words of each row; `_` joins several."""
    starts: Mapping[str, tuple[str, ...]]
    """Beginnings of words of each row."""
    capitals_are_names: bool
    """Whether a capital within a sentence means a name; False where all nouns have one."""

    @property
    def is_spaced(self) -> bool:
        """Whether its words are set apart."""
        return self.code in LATIN

    def has(self, row: str, word: str) -> bool:
        """Tell whether a word stands in a row."""
        starts = self.starts.get(row, ())
        is_begun = bool(starts) and "_" not in word and word.startswith(starts)
        return is_begun or word in self.words.get(row, ())

    def listed(self, row: str) -> frozenset[str]:
        """Return the whole words of a row."""
        return self.words.get(row, frozenset())


@lru_cache(maxsize=len(LATIN) + len(UNSPACED))
def load_language(code: str) -> Language:
    """Return the words of a language, by its two letters."""
    rows = load_table(code)
    words = {
        row: frozenset(w for w in listed if not w.endswith("*")) for row, listed in rows.items()
    }
    if rows.get("inflect") == ["english"]:
        words |= {kind: frozenset(f for w in words[kind] for f in _forms(w)) for kind in KINDS}
    return Language(
        code=code,
        words=words,
        starts={
            row: tuple(w.rstrip("*") for w in listed if w.endswith("*"))
            for row, listed in rows.items()
        },
        capitals_are_names=rows.get("capitals") == ["names"],
    )


@lru_cache
def load_table(name: str) -> Mapping[str, list[str]]:
    """Return the rows of a table of `languages`."""
    text = files(__package__).joinpath("languages", f"{name}.txt").read_text("utf-8")
    rows: dict[str, list[str]] = {}
    row = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        head, bar, rest = line.partition("|")
        if bar:
            row, line = head.strip(), rest
        rows.setdefault(row, []).extend(line.casefold().split())
    return rows


def _forms(verb: str) -> tuple[str, ...]:
    """Return the forms in which an English verb begins a step: `searches`, `searching`."""
    first, joint, rest = verb.partition("_")
    stem = first[:-1] if first.endswith("e") and not first.endswith("ee") else first
    doubled = stem + stem[-1] if len(stem) <= 4 else stem
    forms = (first, f"{first}s", f"{first}es", f"{stem}ing", f"{doubled}ing")
    return tuple(form + joint + rest for form in forms)
