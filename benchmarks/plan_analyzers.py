"""Measure what the heuristic makes of plans whose dependencies are known, per data set and rule.

Run `python -m benchmarks.plan_analyzers`. `--data FOLDER` takes plans from elsewhere, in the form
of `benchmarks/data/plans`; the plans of `written.json` are always among them.

    heuristic         `HeuristicAnalyzer` as it is, told the steps alone
    with the goal     the same, told what the plan is for as well
    unseen families   the rules that were right often enough on *other* families of plans: five
                      folds, near-duplicates in the same one
    chain, none, word overlap, oracle   the plan as written; everything at once; a step waits for
                      those that it shares a word with; the known dependencies

The measure is the share of the *parallelized* plans that keep every known dependence; a plan that
stays a chain is no merit. The shares of the rules go into `SHARES` of
`langgraph_parallel/plan/heuristic/rules.py`.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from benchmarks.plan_data import (
    DATA,
    HELD_OUT,
    Ancestors,
    KnownPlan,
    chain,
    group_alike,
    is_parallel,
    is_sound,
    load_plans,
    read_plans,
    score,
    words_of,
)
from langgraph_parallel.plan.heuristic import introduced
from langgraph_parallel.plan.heuristic.rules import Rule, find_rule
from langgraph_parallel.plan.heuristic.text import goal_words, read_steps

SOUND = 0.97
"""Share of the plans that a rule was used in from which it is taken."""
FOLDS = 5

Pairs = dict[tuple[int, int], Rule]
Analyzer = Callable[[KnownPlan], Ancestors]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How often a rule was used, and how often it was right, in plans."""

    plans: int
    sound: int


@lru_cache(maxsize=10_000)
def relaxed_pairs(plan: KnownPlan, goal: str) -> Pairs:
    """Return the rule of each pair that some rule relaxes."""
    steps = read_steps(plan.steps)
    pairs = ((i, j) for j in range(len(steps)) for i in range(j))
    found = {(i, j): find_rule(steps, i, j, goal_words(goal)) for i, j in pairs}
    return {pair: rule for pair, rule in found.items() if rule is not None}


def order_of(plan: KnownPlan, pairs: Iterable[tuple[int, int]]) -> Ancestors:
    """Return the order in which only the given pairs are free."""
    free = set(pairs)
    masks = [0] * len(plan.steps)
    for j in range(len(masks)):
        for i in range(j):
            if (i, j) not in free:
                masks[j] |= masks[i] | 1 << i
    return tuple(masks)


def heuristic(plan: KnownPlan) -> Ancestors:
    return order_of(plan, relaxed_pairs(plan, ""))


def with_goal(plan: KnownPlan) -> Ancestors:
    return order_of(plan, relaxed_pairs(plan, plan.task))


def count_rules(plans: Iterable[KnownPlan]) -> dict[Rule, Share]:
    """Return for each rule the plans that it shortened, and those in which it lost nothing."""
    used: Counter[Rule] = Counter()
    wrong: Counter[Rule] = Counter()
    for plan in plans:
        pairs = relaxed_pairs(plan, plan.task)
        order = order_of(plan, pairs)
        lost: defaultdict[Rule, bool] = defaultdict(bool)
        for (i, j), rule in pairs.items():
            if not order[j] >> i & 1:
                lost[rule] |= bool(plan.gold[j] >> i & 1)
        used.update(lost.keys())
        wrong.update(rule for rule, is_lost in lost.items() if is_lost)
    return {rule: Share(plans=n, sound=n - wrong[rule]) for rule, n in used.items()}


def unseen_families(plans: Sequence[KnownPlan]) -> dict[str, Ancestors]:
    """Return for each plan its order by the rules that other families of plans speak for."""
    groups = group_alike(plans)
    names = sorted(set(groups))
    random.Random(3).shuffle(names)
    fold_of = {name: k % FOLDS for k, name in enumerate(names)}
    found = {}
    for fold in range(FOLDS):
        inside = [fold_of[group] == fold for group in groups]
        shares = count_rules(p for p, is_in in zip(plans, inside, strict=True) if not is_in)
        taken = {rule for rule, s in shares.items() if s.sound >= SOUND * s.plans}
        for plan, is_in in zip(plans, inside, strict=True):
            if is_in:
                pairs = relaxed_pairs(plan, plan.task)
                found[plan.id] = order_of(plan, (p for p, rule in pairs.items() if rule in taken))
    return found


def named_share(plans: Iterable[KnownPlan]) -> float:
    """Return the share of pairs that are dependent among those where one names the other's."""
    known: list[int] = []
    for plan in plans:
        steps, free = read_steps(plan.steps), relaxed_pairs(plan, "")
        pairs = ((i, j) for j in range(len(steps)) for i in range(j) if (i, j) not in free)
        known += (plan.gold[j] >> i & 1 for i, j in pairs if introduced(steps, i, j))
    return sum(known) / len(known)


# -- what it is compared with --------------------------------------------------------------------


def none(plan: KnownPlan) -> Ancestors:
    return (0,) * len(plan.steps)


def word_overlap(plan: KnownPlan) -> Ancestors:
    words = [words_of(text) for text in plan.steps]
    masks = [0] * len(words)
    for j, mine in enumerate(words):
        for i in range(j):
            if mine & words[i]:
                masks[j] |= masks[i] | 1 << i
    return tuple(masks)


def as_written(plan: KnownPlan) -> Ancestors:
    return chain(len(plan.steps))


def oracle(plan: KnownPlan) -> Ancestors:
    return plan.gold


# -- tables --------------------------------------------------------------------------------------


def print_table(title: str, plans: Sequence[KnownPlan], analyzers: dict[str, Analyzer]) -> None:
    print(f"\n{title}: {len(plans)} plans\n")
    print(
        "| analyzer | parallelized | of these sound | valid speed-up | orderings kept | edge F1 |"
    )
    print("|---|--:|--:|--:|--:|--:|")
    for name, analyze in analyzers.items():
        orders = [(plan, analyze(plan)) for plan in plans]
        parallel = [pair for pair in orders if is_parallel(pair[1])]
        sound = sum(is_sound(*pair) for pair in parallel)
        share = f"{sound} ({sound / len(parallel):.1%})" if parallel else "—"
        s = score(orders)
        print(
            f"| {name} | {len(parallel)} | {share} | {s.speedup:.3f} |"
            f" {s.closure_recall:.3f} | {s.edge_f1:.3f} |"
        )


def print_parts(plans: Sequence[KnownPlan], analyze: Analyzer) -> None:
    """Print a line for each part of the data sets that has parts."""
    parts = defaultdict(list)
    for plan in plans:
        parts[plan.source, plan.part].append(plan)
    print("\n| set | part | plans | parallelized | of these sound | valid speed-up | oracle |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for (source, part), listed in sorted(parts.items()):
        orders = [(plan, analyze(plan)) for plan in listed]
        parallel = [pair for pair in orders if is_parallel(pair[1])]
        best = score((plan, plan.gold) for plan in listed).speedup
        print(
            f"| {source} | {part} | {len(listed)} | {len(parallel)} |"
            f" {sum(is_sound(*pair) for pair in parallel)} | {score(orders).speedup:.3f} |"
            f" {best:.3f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the plans")
    folder = parser.parse_args().data
    plans = load_plans(folder)
    if not any(plan.source == "written" for plan in plans):
        plans += read_plans(DATA / "written.json", "written")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    unseen = unseen_families(plans)
    analyzers: dict[str, Analyzer] = {
        "heuristic": heuristic,
        "heuristic, with the goal": with_goal,
        "heuristic, with the goal, unseen families": lambda plan: unseen[plan.id],
        "chain": as_written,
        "none": none,
        "word overlap": word_overlap,
        "oracle": oracle,
    }
    print_table("All", plans, analyzers)
    for source in sorted({plan.source for plan in plans}):
        print_table(source, [plan for plan in plans if plan.source == source], analyzers)
    apart = {name: a for name, a in analyzers.items() if "unseen" not in name}
    print_table("Kept apart", read_plans(HELD_OUT), apart)
    print("\nBy part, with the goal:")
    print_parts(plans, with_goal)
    print("\n| rule | plans | sound |\n|---|--:|--:|")
    for rule, share in sorted(count_rules(plans).items()):
        print(f"| {rule} | {share.plans} | {share.sound} |")
    print(f"\nPairs whose later step names what the earlier brings in: {named_share(plans):.1%}")


if __name__ == "__main__":
    main()
