"""From two steps of a plan to the rule by which they need not wait for each other, if there is one.

    siblings   both look for the same of different things: the population of Oslo, of Bergen
    aspects    both look for different things of one that is named: flights to Rome, hotels in Rome
    asked      both look something up, and the goal names what the later one is about
    given      both are calls of tools that only ask, and the later has all its arguments
    shared     both are such calls, and wait for the same arguments
    alike      both do the same work on things that are named: translate into French, into Spanish
    said       the later step says that it may run at the same time as the one before it

Only steps that leave everything as it was are relaxed; one that changes something, or is not
understood, keeps its place. So does one that refers to what came before it, or names what an
earlier step looks for. A name that stands in no earlier step and not in the goal may be one that an
earlier step has found.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from langgraph_parallel.plan.heuristic.frames import Slot, common_frame
from langgraph_parallel.plan.heuristic.lexicon import Language, load_language
from langgraph_parallel.plan.heuristic.spaced import stem
from langgraph_parallel.plan.heuristic.step import Back, StepText
from langgraph_parallel.plan.heuristic.words import Token

Rule: TypeAlias = Literal["siblings", "aspects", "asked", "given", "shared", "alike", "said"]

_LONGEST_SLOT: Final = 4
"""Words that differ, at most, where they are no names."""
REASONS: Final[dict[Rule, str]] = {
    "siblings": "both do the same ({verb!r}) to different things",
    "aspects": "both look up different things of one that is named",
    "asked": "both only look something up, and the goal names what the later one is about",
    "given": "all arguments of the later call are given",
    "shared": "both calls are left the same arguments open, which an earlier step brings",
    "alike": "both do the same ({verb!r}) to different things",
    "said": "the later one says that it may run at the same time",
}

SHARES: Final[dict[Rule, tuple[int, int]]] = {
    "siblings": (25, 25),
    "aspects": (5, 5),
    "asked": (20, 20),
    "given": (13, 13),
    "shared": (7, 7),
    "alike": (2, 2),
}
"""For each rule in how many plans it was used, and in how many of these every known dependence was
kept: `python -m benchmarks.plan_analyzers`. The rule `said` is the plan's own word."""
NAMED_SHARE: Final = 0.82
"""Share of the pairs whose later step names what the earlier one brings in that are dependent."""


def share_of(rule: Rule) -> float:
    """Return how probable it is that a plan which a rule relaxes keeps every dependence.

    Laplace's estimate: a rule that was never wrong in two plans is not sure for that.
    """
    plans, sound = SHARES.get(rule, (98, 98))
    return (sound + 1) / (plans + 2)


def find_rule(steps: Sequence[StepText], i: int, j: int, goal: str = "") -> Rule | None:
    """Return the rule by which step `j` need not wait for step `i`; None when there is none.

    Args:
        steps: The steps of a plan.
        i: Position of the earlier one.
        j: Position of the later one.
        goal: From `goal_words`; empty when it is not known, or asks for an order.
    """
    earlier, later = steps[i], steps[j]
    if earlier.call is not None or later.call is not None:
        return _rule_of_calls(earlier, later)
    if later.beside and i == j - 1 and later.kind != "unknown" and not later.back:
        return "said"
    quiet = ("lookup", "derive")
    if earlier.kind not in quiet or later.kind not in quiet or earlier.language != later.language:
        return None
    language = load_language(later.language)
    if _brings_means(earlier, language):
        return None
    slots = common_frame(earlier, later)
    if _are_siblings(earlier, later, slots):
        if later.kind == "lookup":
            return "siblings"
        return "alike" if _is_alike(earlier, later, slots) else None
    if later.back or not later.names or earlier.sought_names & _words(later.names):
        return None
    if _is_asked(earlier, later, goal):
        return "asked"
    if later.kind == "derive" or not later.is_direct or not later.names & earlier.names:
        return None
    return None if names_sought(earlier, later) or _is_relational(later, language) else "aspects"


def _words(names: frozenset[str]) -> frozenset[str]:
    return frozenset(word for name in names for word in name.split())


def _is_asked(earlier: StepText, later: StepText, goal: str) -> bool:
    """Tell whether the goal names what the later step is about, and nothing joins the two."""
    is_number = load_language(later.language).has("numbers", later.verb)
    there = {*earlier.content, *map(stem, _words(earlier.names))}
    is_apart = there.isdisjoint(later.content) and not earlier.names & later.names
    return (
        bool(goal)
        and not is_number
        and is_apart
        and all(f" {name} " in goal for name in later.names)
    )


def names_sought(earlier: StepText, later: StepText) -> frozenset[str]:
    """Return the words for what the earlier step looks for that stand in the later one too."""
    return earlier.sought.intersection(later.content)


def _is_relational(step: StepText, language: Language) -> bool:
    return all(word in _relational(language.code) for word in step.sought)


@lru_cache
def _relational(language_code: str) -> frozenset[str]:
    return frozenset(map(stem, load_language(language_code).listed("relational")))


def _rule_of_calls(earlier: StepText, later: StepText) -> Rule | None:
    if earlier.call is None or later.call is None:
        return None
    if not (earlier.call.reads and later.call.reads):
        return None
    if not later.call.open_arguments:
        return "given"
    is_shared = set(later.call.open_arguments) <= set(earlier.call.open_arguments)
    return "shared" if is_shared and not later.call.open_words & earlier.call.words else None


def _brings_means(earlier: StepText, language: Language) -> bool:
    """Tell whether a step gets something that later ones work by, such as a key or an id."""
    if language.is_spaced:
        words = {token.folded for token in earlier.segments[earlier.main]}
        return any(language.has("enabling", word) for word in words)
    text = "".join(earlier.words)
    return any(word in text for word in language.listed("enabling"))


def _are_siblings(earlier: StepText, later: StepText, slots: Sequence[Slot]) -> bool:
    """Tell whether two steps say the same of different things, both of them given."""
    if (earlier.kind, earlier.verb, earlier.main) != (later.kind, later.verb, later.main):
        return False
    main = next((slot for slot in slots if slot.segment == later.main), None)
    if main is None:
        return False
    language = load_language(later.language)
    return (
        all(_is_given(slot, language) for slot in slots)
        and _is_parallel(main, earlier, later, language)
        and _refers_alike(earlier, later, main, language)
    )


def _is_alike(earlier: StepText, later: StepText, slots: Sequence[Slot]) -> bool:
    """Tell whether two steps do the same work, each on something that it names."""
    is_number = load_language(later.language).has("numbers", later.verb)
    named = all(_has_name(s.earlier, earlier) and _has_name(s.later, later) for s in slots)
    return named and not is_number and not later.back


def _has_name(tokens: Sequence[Token], step: StepText) -> bool:
    return any(_is_in(token, step.names) for token in tokens)


def _is_in(token: Token, names: frozenset[str]) -> bool:
    return any(token.folded in name.split() or token.folded == name for name in names)


def _is_given(slot: Slot, language: Language) -> bool:
    """Tell whether what differs stands in both steps and refers to nothing else."""
    if not slot.earlier or not slot.later:
        return False
    rows = ("points", "results", "order")
    if language.is_spaced:
        is_turn = bool(slot.before) and language.has("rounds", slot.before[-1])
        return not is_turn and not any(language.has(r, t.folded) for t in slot.later for r in rows)
    text = "".join(token.folded for token in slot.later)
    near = "".join((*slot.before[-2:], "|", *slot.after[:2]))
    is_turn = any(word in near for word in language.listed("rounds")) and _has_number(slot.later)
    return not is_turn and not any(word in text for row in rows for word in language.listed(row))


def _has_number(tokens: Sequence[Token]) -> bool:
    return any(c.isdigit() or c in "一二三四五六七八九十" for t in tokens for c in t.text)


def _is_parallel(slot: Slot, earlier: StepText, later: StepText, language: Language) -> bool:
    """Tell whether what differs is names alone, or plain words about one thing that is named."""
    if not language.is_spaced:
        return _is_parallel_unspaced(slot, earlier, later)
    shared = [w for w in (*slot.before, *slot.after) if w not in later.verb.split()]
    rows = ("small", "definite", "named_by", "relative", "skip")
    own = [w for w in shared if not any(language.has(row, w) for row in rows)]
    named = [_are_names(slot.earlier, earlier, language), _are_names(slot.later, later, language)]
    if any(named):
        return all(named) and (bool(own) or all(token.is_code for token in slot.later))
    is_about_one = any(w in name.split() for w in own for name in later.names) or bool(later.back)
    return (
        is_about_one
        and _is_plain(slot.later, language)
        and len(slot.earlier) <= _LONGEST_SLOT
        and not all(language.has("parts", token.folded) for token in slot.earlier)
        and not _stems(slot.earlier) & _stems(slot.later)
    )


def _is_plain(tokens: Sequence[Token], language: Language) -> bool:
    """Tell whether words are few and hold no further thing that would have to be found first."""
    if len(tokens) > _LONGEST_SLOT:
        return False
    if all(language.has("relational", token.folded) for token in tokens):
        return False
    nested = ("named_by", "definite", "relative", "clause", "small")
    for k, token in enumerate(tokens):
        is_part = k > 0 and language.has("parts", tokens[k - 1].folded)
        if not is_part and any(language.has(row, token.folded) for row in nested):
            return False
    return True


def _are_names(tokens: Sequence[Token], step: StepText, language: Language) -> bool:
    """Tell whether all that differs are names, numbers and dates, with small words between them."""
    rows = ("small", "named_by", "time", "definite")
    named = [_is_in(token, step.names) or token.is_number for token in tokens]
    return any(named) and all(
        is_named or any(language.has(row, token.folded) for row in rows)
        for is_named, token in zip(named, tokens, strict=True)
    )


def _stems(tokens: Sequence[Token]) -> frozenset[str]:
    return frozenset(stem(token.folded) for token in tokens)


def _is_parallel_unspaced(slot: Slot, earlier: StepText, later: StepText) -> bool:
    """Tell whether two steps have more than a verb in common, and differ in other characters."""
    shared = "".join((*slot.before, *slot.after))
    at = shared.rfind(later.verb) if later.language == "ja" else -1
    rest = shared[:at].rstrip("をはがにで") if at >= 0 else shared.replace(later.verb, "", 1)
    there = "".join(token.folded for token in slot.earlier)
    here = "".join(token.folded for token in slot.later)
    pairs = {there[k : k + 2] for k in range(len(there) - 1)}
    is_apart = not any(here[k : k + 2] in pairs for k in range(len(here) - 1))
    # What differs stands before what is looked for, or is a name of letters or a quotation.
    head = shared[len("".join(slot.before)) :] if at < 0 else rest[len("".join(slot.before)) :]
    is_whose = len(head) >= 2 or _has_name(slot.later, later)
    is_other = is_apart and not any(pair in here for pair in earlier.sought)
    return len(rest) >= 2 and is_whose and is_other


def _refers_alike(earlier: StepText, later: StepText, slot: Slot, language: Language) -> bool:
    """Tell whether the later step refers only to what the earlier one does, in the same words.

    Pronouns are none of these words: they may mean what the earlier step finds.
    """
    there = set(earlier.back)
    is_named = bool(slot.after) and language.has("named_by", slot.after[0])

    def is_alike(back: Back) -> bool:
        if not back.nouns:
            return False
        # "the latency [metrics] of the service", where both have what follows
        return back in there or (is_named and back.nouns <= _stems(slot.later))

    return all(is_alike(back) for back in later.back)
