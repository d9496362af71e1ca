"""From characters of Chinese or Japanese to what a step does, names and refers to.

No dictionary cuts the text into words. The verb of a clause stands at its start in Chinese and at
its end in Japanese; what refers back is looked for anywhere, so that a word that holds such a
character by chance keeps the order rather than loses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from langgraph_parallel.plan.heuristic.lexicon import KINDS, Language
from langgraph_parallel.plan.heuristic.step import Back, Kind, StepText
from langgraph_parallel.plan.heuristic.words import Token

_LEAD_ZH: Final = re.compile(r"(?:通过|使用|利用|用|在|从|对|为|针对|并|和|后)[^,、]{0,15}?$")
_END_JA: Final = re.compile(
    r"(?:する|します|して|してください|ください|した|る|べる|める|ける|り|出す|す|く|う|し|い|て|た)*"
)
_JOINED_ZH: Final = "并和后再来且"
_HEAD: Final = re.compile(r"[^的の]+$")


class UnspacedReader:
    """Reads one step.

    Args:
        language: The words to go by.
        segments: The step's sentences.
    """

    def __init__(self, language: Language, segments: Sequence[Sequence[Token]]) -> None:
        self._language = language
        self._segments = segments
        self._clauses = [clause for segment in segments for clause in _split(segment)]

    def read(self) -> StepText:
        """Return what was read."""
        kind, verb, main, rest = self._kind()
        names = [t.folded for s in self._segments for t in s if t.kind == "quoted" or t.is_code]
        text = "\n".join(self._clauses)
        head = _HEAD.search(rest)
        return StepText(
            language=self._language.code,
            kind=kind,
            verb=verb,
            words=tuple(t.folded for s in self._segments for t in s if t.folded),
            segments=tuple(tuple(segment) for segment in self._segments),
            main=main,
            names=frozenset(names),
            content=tuple(dict.fromkeys(_pairs(text))),
            sought=frozenset(_pairs(head[0] if head else "")),
            sought_names=frozenset(n for n in names if n in (head[0] if head else "")),
            is_direct=bool(names),
            back=() if kind == "unknown" else tuple(self._backs(text)),
            beside=any(word in text for word in self._language.listed("together")),
        )

    def _kind(self) -> tuple[Kind, str, int, str]:
        """Return what the step does, the verb, its segment and what it is done to."""
        best: tuple[int, str, int, str] | None = None
        for s, segment in enumerate(self._segments):
            for clause in _split(segment):
                found = self._verb(clause)
                if found is not None and (best is None or found[0] > best[0]):
                    best = found[0], found[1], s, found[2]
        if best is None:
            return "unknown", "", 0, ""
        return KINDS[best[0]], best[1], best[2], best[3]

    def _verb(self, clause: str) -> tuple[int, str, str] | None:
        """Return the rank of a clause's verb, the verb, and the rest of the clause."""
        return self._verb_zh(clause) if self._language.code == "zh" else self._verb_ja(clause)

    def _verb_zh(self, clause: str) -> tuple[int, str, str] | None:
        for lead in sorted(self._language.listed("skip") | self._language.listed("order")):
            clause = clause.removeprefix(lead)
        found: tuple[int, str, str] | None = None
        for rank, kind in enumerate(KINDS):
            for verb in sorted(self._language.listed(kind), key=len, reverse=True):
                at = clause.find(verb)
                if at < 0:
                    continue
                leads = at == 0 or bool(_LEAD_ZH.fullmatch(clause[:at]))
                joined = kind == "change" and clause[at - 1 : at] in tuple(_JOINED_ZH)
                if (leads or joined) and (found is None or rank > found[0]):
                    found = rank, verb, clause[at + len(verb) :]
        return found

    def _verb_ja(self, clause: str) -> tuple[int, str, str] | None:
        changes = [v for v in self._language.listed("change") if len(v) > 1 and v in clause]
        if changes:
            return KINDS.index("change"), max(changes, key=len), ""
        for rank in reversed(range(len(KINDS))):
            for verb in sorted(self._language.listed(KINDS[rank]), key=len, reverse=True):
                at = clause.rfind(verb)
                if at >= 0 and _END_JA.fullmatch(clause[at + len(verb) :]):
                    return rank, verb, re.sub(r"[をはがにで]$", "", clause[:at])
        return None

    def _backs(self, text: str) -> Iterable[Back]:
        for row in ("points", "results"):
            for word in sorted(self._language.listed(row)):
                if word in text:
                    yield Back(word)
        for clause in self._clauses:
            for word in sorted(self._language.listed("order")):
                if clause.startswith(word):
                    yield Back(word)
        for segment in self._segments:
            yield from (Back(token.text) for token in segment if token.kind == "open")


def _split(segment: Sequence[Token]) -> list[str]:
    """Return the clauses of a sentence as text."""
    clauses = [""]
    for token in segment:
        if token.kind == "stop":
            clauses.append("")
        else:
            is_apart = token.kind != "char" and clauses[-1][-1:].isascii() and clauses[-1]
            clauses[-1] += f" {token.folded}" if is_apart else token.folded
    return [clause for clause in clauses if clause]


def _pairs(text: str) -> list[str]:
    """Return all pairs of neighboring characters that are no Latin letters."""
    return [text[k : k + 2] for k in range(len(text) - 1) if not text[k : k + 2].isascii()]
