"""Measure what is known of a plan's dependencies: four numbers per data set and analyzer.

Run `python -m benchmarks.plan_analyzers` (needs the extra `fit`). `--data FOLDER` takes plans from
elsewhere, in the form of `benchmarks/data/plans`.

    chain          the plan as written
    none           everything at once
    word overlap   a step waits for earlier ones that it has a word of meaning in common with
    heuristic      `HeuristicAnalyzer` with weights fitted on other plans: five folds
    as shipped     the same with the weights in the package, which were fitted on these plans
    oracle         the known dependencies
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks.fit_heuristic import build_table, cross_validate
from benchmarks.plan_data import (
    DATA,
    HELD_OUT,
    Ancestors,
    KnownPlan,
    chain,
    load_plans,
    read_plans,
    score,
)
from langgraph_parallel import ParallelConfig, ParallelPlanner
from langgraph_parallel.plan.heuristic.text import read_step

Orders = dict[str, Ancestors]


def none(plan: KnownPlan) -> Ancestors:
    return (0,) * len(plan.steps)


def word_overlap(plan: KnownPlan) -> Ancestors:
    words = [set(read_step(text).content) for text in plan.steps]
    masks = [0] * len(words)
    for j, mine in enumerate(words):
        for i in range(j):
            if mine & words[i]:
                masks[j] |= masks[i] | 1 << i
    return tuple(masks)


def shipped(plan: KnownPlan) -> Ancestors:
    config = ParallelConfig(strategies=("explicit", "heuristic"), reference_styles=())
    return ParallelPlanner(config).optimize(list(plan.steps)).ancestors


def print_table(
    title: str, plans: list[KnownPlan], analyzers: dict[str, Callable[[KnownPlan], Ancestors]]
) -> None:
    print(f"\n{title}: {len(plans)} plans\n")
    print("| analyzer | edge F1 | orderings kept | sound plans | valid speed-up |")
    print("|---|---|---|---|---|")
    for name, analyze in analyzers.items():
        s = score((plan, analyze(plan)) for plan in plans)
        print(
            f"| {name} | {s.edge_f1:.3f} | {s.closure_recall:.3f} | {s.sound:.1%} |"
            f" {s.speedup:.3f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the plans")
    plans = load_plans(parser.parse_args().data)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},"
        f" lightgbm {version('lightgbm')}, scikit-learn {version('scikit-learn')}"
    )
    table = build_table(plans)
    unseen = {table.plans[k].id: order for k, order in cross_validate(table).items()}
    plain: dict[str, Callable[[KnownPlan], Ancestors]] = {
        "chain": lambda plan: chain(len(plan.steps)),
        "none": none,
        "word overlap": word_overlap,
    }
    oracle = {"oracle": lambda plan: plan.gold}
    fitted = {
        "heuristic, held out": lambda plan: unseen[plan.id],
        "heuristic as shipped, *fitted on these plans*": shipped,
    }
    for source in sorted({plan.source for plan in plans}):
        chosen = [plan for plan in plans if plan.source == source]
        print_table(source, chosen, plain | fitted | oracle)
    apart = {"heuristic as shipped, never fitted on these": shipped}
    print_table("Kept apart, all three", read_plans(HELD_OUT), plain | apart | oracle)


if __name__ == "__main__":
    main()
