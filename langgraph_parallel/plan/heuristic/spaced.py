"""From tokens of a language that sets words apart to what a step does, names and refers to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from langgraph_parallel.plan.heuristic.lexicon import KINDS, Language
from langgraph_parallel.plan.heuristic.step import Back, Kind, StepText
from langgraph_parallel.plan.heuristic.words import Token

Segment = Sequence[Token]

_AND: Final = frozenset(["and", "then", "or", "&", "und", "dann", "et", "puis", "y", "luego", "e"])
_NUMBERED: Final = frozenset(["id", "ids", "number", "code", "no", "nr"])
"""Words after which a number is a name."""
_NO_NAME: Final = frozenset(["e.g", "i.e", "etc", "vs"])
_LONGEST_LEAD: Final = 6
"""Words before the verb of a sentence that are skipped at most."""
_LONG: Final = 3
"""Letters of words that have no capital in titles either."""


def stem(word: str) -> str:
    """Return the part of a word that its forms have in common, roughly and for any language."""
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        word = word[:-1]
    return word[:6]


class SpacedReader:
    """Reads one step.

    Args:
        language: The words to go by.
        segments: The step's sentences.
        is_question: Whether the step has a question mark.
    """

    def __init__(
        self, language: Language, segments: Sequence[Segment], *, is_question: bool
    ) -> None:
        self._language = language
        self._segments = segments
        self._is_question = is_question
        self._verbs = [self._find_verb(segment) for segment in segments]
        self._names = [self._find_names(k) for k in range(len(segments))]

    def read(self) -> StepText:
        """Return what was read."""
        kind, main = self._kind()
        start, end, _ = self._verbs[main] or (0, 0, kind)
        verb = " ".join(token.folded for token in self._segments[main][start:end])
        is_beside = any(self._language.has("together", t.folded) for s in self._segments for t in s)
        return StepText(
            language=self._language.code,
            kind=kind,
            verb=verb,
            words=tuple(t.folded for s in self._segments for t in s if t.folded),
            segments=tuple(tuple(segment) for segment in self._segments),
            main=main,
            names=frozenset(self._phrases()),
            sought_names=frozenset(self._sought_names(main, end)),
            is_direct=self._is_direct(main, end),
            content=tuple(dict.fromkeys(self._content())),
            sought=frozenset(self._sought(main, end)),
            back=() if kind == "unknown" else tuple(self._backs()),
            beside=is_beside,
        )

    def familiarity(self) -> int:
        """Return how much of the step the language knows, to tell which language it is."""
        rows = ("small", "definite", "points", "named_by", "results", "order")
        known = sum(
            any(self._language.has(row, t.folded) for row in rows)
            for s in self._segments
            for t in s
        )
        return known + 3 * sum(verb is not None for verb in self._verbs)

    # -- verbs ------------------------------------------------------------------------------------

    def _kind(self) -> tuple[Kind, int]:
        """Return what the step does and the segment that says so: the one that does most."""
        found: tuple[int, int] | None = None
        for k, verb in enumerate(self._verbs):
            if verb is None:
                continue
            rank = KINDS.index(verb[2])
            if self._goes_on_to_change(self._segments[k], verb[1]):
                rank = KINDS.index("change")
            if found is None or rank > found[0]:
                found = rank, k
        return ("unknown", 0) if found is None else (KINDS[found[0]], found[1])

    def _find_verb(self, segment: Segment) -> tuple[int, int, Kind] | None:
        """Return where the verb at the start of a sentence stands, and its kind."""
        seen = 0
        for k, token in enumerate(segment):
            if token.kind == "stop" or token.is_number:
                continue
            if seen == _LONGEST_LEAD:
                return None
            if (match := self._match(segment, k)) is not None:
                return k, *match
            if self._is_question and self._language.has("ask", token.folded):
                return k, k + 1, "lookup"
            lead = ("skip", "order", "together")
            is_lead = any(self._language.has(row, token.folded) for row in lead)
            if not is_lead and not token.folded.endswith("ly"):
                return None
            seen += 1
        return None

    def _match(self, segment: Segment, k: int) -> tuple[int, Kind] | None:
        """Return where the longest verb that begins at a token ends, and its kind."""
        for length in (3, 2, 1):
            words = [token.folded for token in segment[k : k + length] if token.folded]
            if len(words) < length:
                continue
            for kind in reversed(KINDS):
                if self._language.has(kind, "_".join(words)):
                    return k + length, kind
        return None

    def _goes_on_to_change(self, segment: Segment, start: int) -> bool:
        """Tell whether a sentence names a change after its first verb: `search and book`."""
        for k in range(max(start, 1), len(segment)):
            token, before = segment[k], segment[k - 1]
            is_joined = before.kind == "stop" or before.folded in _AND
            if is_joined and token.text[:1].islower():
                match = self._match(segment, k)
                if match is not None and match[1] == "change":
                    return True
        return False

    # -- names and words --------------------------------------------------------------------------

    def _find_names(self, s: int) -> frozenset[int]:
        """Return the positions of tokens that call something by name.

        Capitals say nothing in a heading, nor where all longer words have one.
        """
        segment = self._segments[s]
        is_heading = s == 0 and len(self._segments) > 1 and self._verbs[0] is None
        long = [t for t in segment[1:] if t.kind == "word" and len(t.text) > _LONG]
        is_title = is_heading or (len(long) > 2 and all(t.text[0].isupper() for t in long))
        names = set()
        for k, token in enumerate(segment):
            is_word = token.kind == "word"
            if token.kind == "quoted" or (is_word and self._is_name(segment, k, is_title=is_title)):
                names.add(k)
        return frozenset(names)

    def _is_name(self, segment: Segment, k: int, *, is_title: bool) -> bool:
        token = segment[k]
        if token.folded in _NO_NAME or self._language.has("time", token.folded):
            return False
        if token.is_code:
            return True
        before = [t.folded for t in segment[max(0, k - 2) : k]]
        if token.is_number:
            return bool(_NUMBERED.intersection(before))
        if not token.text[0].isupper() or k == 0 or is_title or self._is_small(token.folded):
            return False
        if self._language.capitals_are_names:
            return segment[k - 1].kind != "stop" or segment[k - 1].text == ","
        # Where all nouns have a capital, a name is one that a preposition has without an article.
        return (
            bool(before)
            and self._language.has("named_by", before[-1])
            and not (self._language.has("definite", before[-1]))
        )

    def _phrases(self) -> list[str]:
        """Return the names, those of several words in one piece."""
        found: list[str] = []
        for segment, names in zip(self._segments, self._names, strict=True):
            for k in sorted(names):
                if k - 1 in names:
                    found[-1] += f" {segment[k].folded}"
                else:
                    found.append(segment[k].folded)
        return found

    def _is_direct(self, main: int, start: int) -> bool:
        """Tell whether a name follows on what a step looks for, with nothing else to find between.

        `the headquarters of Siemens`, but not `the owner of the headquarters of Siemens`.
        """
        segment = self._segments[main]
        joints = 0
        for k in range(start, len(segment)):
            if k in self._names[main]:
                return True
            is_part = k > 0 and self._language.has("parts", segment[k - 1].folded)
            joints += self._ends_sought(segment[k]) and k > start and not is_part
            if joints and self._is_content(main, k):
                return False
        return False

    def _ends_sought(self, token: Token) -> bool:
        has = self._language.has
        return has("named_by", token.folded) or has("relative", token.folded)

    def _is_small(self, word: str) -> bool:
        rows = ("small", "definite", "points", "named_by", "skip", "results", "order", "together")
        return any(self._language.has(row, word) for row in rows)

    def _is_content(self, s: int, k: int) -> bool:
        token = self._segments[s][k]
        return (
            token.kind == "word"
            and k not in self._names[s]
            and not token.is_number
            and len(token.folded) > 1
            and not self._is_small(token.folded)
            and not self._language.has("time", token.folded)
        )

    def _content(self) -> list[str]:
        found = []
        for s, segment in enumerate(self._segments):
            start, end, _ = self._verbs[s] or (0, 0, "")
            found += [
                stem(token.folded)
                for k, token in enumerate(segment)
                if not start <= k < end and self._is_content(s, k)
            ]
        return found

    def _sought(self, main: int, start: int) -> list[str]:
        """Return the words for what a step looks for: those from its verb to a preposition."""
        found: list[str] = []
        segment = self._segments[main]
        for k in range(start, len(segment)):
            token = segment[k]
            is_part = k > 0 and self._language.has("parts", segment[k - 1].folded)
            if found and (token.kind == "stop" or (self._ends_sought(token) and not is_part)):
                break
            if self._is_content(main, k):
                found.append(stem(token.folded))
        return found

    def _sought_names(self, main: int, start: int) -> list[str]:
        """Return the names that a step looks for, those before a preposition."""
        segment = self._segments[main]
        stop = next(
            (k for k in range(start + 1, len(segment)) if self._ends_sought(segment[k])),
            len(segment),
        )
        return [segment[k].folded for k in sorted(self._names[main]) if start <= k < stop]

    # -- what refers back -------------------------------------------------------------------------

    def _backs(self) -> list[Back]:
        found = []
        for s, segment in enumerate(self._segments):
            verb = self._verbs[s]
            for k in range(len(segment)):
                inside = verb is not None and verb[0] <= k < verb[1]
                if not inside and (back := self._back(s, k)) is not None:
                    found.append(back)
        return found

    def _back(self, s: int, k: int) -> Back | None:
        segment, has = self._segments[s], self._language.has
        token = segment[k]
        if token.kind == "open":
            return Back(token.text)
        word = token.folded
        if has("definite", word):
            return None if self._is_known(s, k) else self._phrase(s, k)
        if has("points", word):
            if self._is_about_now(segment, k) or self._is_own(s, k):
                return None
            return Back(word) if has("own", word) else self._phrase(s, k)
        if has("relative", word):
            return self._phrase(s, k) if self._points(segment, k) else None
        if has("results", word):
            return Back(word)
        if has("order", word):
            return None if self._is_about_now(segment, k) else Back(word)
        is_step = has("steps", word) and k + 1 < len(segment) and segment[k + 1].is_number
        if is_step or self._is_participle(s, k):
            return Back(word)
        return None

    def _phrase(self, s: int, k: int) -> Back:
        """Return a pointing word with the noun after it."""
        segment = self._segments[s]
        words = [segment[k].folded]
        nouns = []
        for m in range(k + 1, len(segment)):
            token = segment[m]
            if token.kind == "stop" or self._language.has("named_by", token.folded):
                break
            if len(words) == 4:
                break
            words.append(token.folded)
            if self._is_content(s, m):
                nouns.append(stem(token.folded))
        return Back(" ".join(words), frozenset(nouns))

    def _clause(self, segment: Segment, k: int) -> range:
        """Return the positions after one up to the end of its clause."""
        for m in range(k + 1, len(segment)):
            if segment[m].kind == "stop" or segment[m].folded in _AND:
                return range(k + 1, m)
        return range(k + 1, len(segment))

    def _is_known(self, s: int, k: int) -> bool:
        """Tell whether the thing after an article is told by the sentence itself, by a name."""
        segment = self._segments[s]
        clause = self._clause(segment, k)
        if self._is_about_now(segment, k):
            return True
        if len(clause) and self._language.has("unique", segment[clause[0]].folded):
            return True
        named = (m for m in clause if m in self._names[s])
        return any(not segment[m].is_acronym for m in named)

    def _is_about_now(self, segment: Segment, k: int) -> bool:
        """Tell whether a word points to a time, as in `this week` or `after 2020`."""
        near = segment[k + 1 : k + 4]
        return any(
            self._language.has("now", t.folded)
            or self._language.has("time", t.folded)
            or (t.is_number and self._language.has("order", segment[k].folded))
            for t in near
        )

    def _is_own(self, s: int, k: int) -> bool:
        """Tell whether a pronoun means the name before it, as in `Nokia and its rivals`."""
        segment = self._segments[s]
        follows = k > 1 and segment[k - 1].folded in _AND and k - 2 in self._names[s]
        return follows and self._language.has("own", segment[k].folded)

    def _points(self, segment: Segment, k: int) -> bool:
        """Tell whether `that` points to something, and does not begin a clause."""
        if k + 1 == len(segment):
            return True
        after = segment[k + 1].folded
        begins = self._language.has("clause", after) or after.endswith(("ed", "s"))
        return not begins or after.endswith(("ss", "us", "is"))

    def _is_participle(self, s: int, k: int) -> bool:
        """Tell whether a word says that something was found or worked out, as in `found data`."""
        if self._language.code != "en" or k == 0:
            return False
        word = self._segments[s][k].folded
        if not word.endswith("ed") or word.endswith("eed"):
            return word in ("found", "chosen")
        bases = {word[:-1], word[:-2], word[:-3], f"{word[:-3]}y"}
        known = self._language.listed("lookup") | self._language.listed("derive")
        return bool(bases & known) and word not in ("located", "listed", "rated", "ranked")
