"""From files of plans with known dependencies to `KnownPlan`s, and from orders to the four numbers.

Every plan lists its steps in an order that respects its dependencies. An order is given as the
ancestors of each step: the steps that it has to wait for, directly or not, as bits of a number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

Ancestors: TypeAlias = tuple[int, ...]

ROOT = Path(__file__).parents[1]
DATA = ROOT / "benchmarks/data/plans"
HELD_OUT = ROOT / "tests/data/plans/held_out.json"
"""Plans that the shares of rules do not count."""
_ALIKE = 0.6
"""Share of common words from which two plans count as near-duplicates."""


@dataclass(frozen=True, kw_only=True)
class KnownPlan:
    """A plan whose dependencies are known."""

    id: str
    source: str
    """The data set: `asynchow`, `worfbench`, `nestful` or `written`."""
    part: str = ""
    """The sub-set of WorFBench, or the language of a written plan; empty elsewhere."""
    task: str
    """What the plan is for."""
    steps: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    seconds: tuple[float, ...]
    """How long each step takes; 1 each where the data set does not say."""

    @cached_property
    def gold(self) -> Ancestors:
        """The known order."""
        masks = [0] * len(self.steps)
        for j in range(len(masks)):
            for i, k in self.edges:
                if k == j:
                    masks[j] |= masks[i] | 1 << i
        return tuple(masks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The four numbers, as means over plans."""

    edge_f1: float
    """F1 of the edges after transitive reduction."""
    closure_recall: float
    """Share of the known orderings that are kept."""
    sound: float
    """Share of plans that keep every known ordering."""
    speedup: float
    """Sum of durations over the longest path; an unsound plan counts as 1."""


def read_plans(path: Path, source: str = "") -> list[KnownPlan]:
    """Return the plans of a file, with references hidden where it has them hidden."""
    return [_plan(entry, entry.get("set") or source) for entry in json.loads(path.read_text())]


def _plan(entry: dict[str, Any], source: str) -> KnownPlan:
    steps = tuple(entry.get("steps_masked") or entry["steps"])
    return KnownPlan(
        id=entry["id"],
        source=source,
        part=entry.get("source", ""),
        task=entry["task"],
        steps=steps,
        edges=tuple((i, j) for i, j in entry["edges"]),
        seconds=tuple(entry.get("seconds") or [1.0] * len(steps)),
    )


def load_plans(folder: Path = DATA) -> list[KnownPlan]:
    """Return all plans of a folder but those that are held out."""
    apart = {plan.id for plan in read_plans(HELD_OUT)} if HELD_OUT.exists() else set()
    files = sorted(folder.glob("*.json"))
    plans = [plan for path in files for plan in read_plans(path, path.name.split(".")[0])]
    return [plan for plan in plans if plan.id not in apart]


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text; characters where words are not set apart."""
    return frozenset(re.findall(r"[\u3040-\u9fff]|[^\W\d_\u3040-\u9fff]+|\d+", text.lower()))


def group_alike(plans: Sequence[KnownPlan]) -> list[int]:
    """Return for each plan the number of its group; near-duplicates share one. Quadratic."""
    words = [words_of(" ".join(plan.steps)) for plan in plans]
    parent = list(range(len(plans)))

    def find(a: int) -> int:
        while parent[a] != a:
            parent[a] = a = parent[parent[a]]
        return a

    for a, plan in enumerate(plans):
        for b in range(a):
            common = len(words[a] & words[b])
            near = common >= _ALIKE * (len(words[a]) + len(words[b]) - common)
            if near or plan.task == plans[b].task:
                parent[find(a)] = find(b)
    return [find(a) for a in range(len(plans))]


def chain(n: int) -> Ancestors:
    return tuple((1 << j) - 1 for j in range(n))


def is_sound(plan: KnownPlan, order: Ancestors) -> bool:
    """Return whether an order keeps every known one."""
    return all(gold & ~mask == 0 for gold, mask in zip(plan.gold, order, strict=True))


def is_parallel(order: Ancestors) -> bool:
    """Return whether an order leaves anything free."""
    return order != chain(len(order))


def speedup(plan: KnownPlan, order: Ancestors) -> float:
    """Return the sum of the durations over the longest path of an order."""
    ends: list[float] = []
    for j, mask in enumerate(order):
        ends.append(plan.seconds[j] + max((ends[i] for i in range(j) if mask >> i & 1), default=0))
    return sum(plan.seconds) / max(ends) if max(ends) else 1.0


def score(results: Iterable[tuple[KnownPlan, Ancestors]]) -> Score:
    """Return the four numbers of an analyzer's orders."""
    rows = [_score_one(plan, order) for plan, order in results]
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return Score(edge_f1=means[0], closure_recall=means[1], sound=means[2], speedup=means[3])


def _score_one(plan: KnownPlan, order: Ancestors) -> tuple[float, float, float, float]:
    found, known = _reduced(order), _reduced(plan.gold)
    f1 = 2 * len(found & known) / (len(found) + len(known)) if found or known else 1.0
    kept = sum((g & m).bit_count() for g, m in zip(plan.gold, order, strict=True))
    every = sum(g.bit_count() for g in plan.gold)
    sound = is_sound(plan, order)
    return f1, kept / every if every else 1.0, float(sound), speedup(plan, order) if sound else 1.0


def _reduced(order: Ancestors) -> set[tuple[int, int]]:
    """Return the edges of an order that no other edges imply."""
    edges = set()
    for j, mask in enumerate(order):
        implied = 0
        for i in range(j):
            if mask >> i & 1:
                implied |= order[i]
        edges |= {(i, j) for i in range(j) if (mask & ~implied) >> i & 1}
    return edges
