"""From the relaxations of a plan to the one worth its risk, or to the chain.

A model says how probable each candidate is to keep every dependence; the one with the best
expected gain, after a price for being wrong, is taken.
"""

from __future__ import annotations

from collections.abc import Sequence

from langgraph_parallel.plan.heuristic.candidates import (
    Ancestors,
    Pairs,
    Rows,
    candidates,
    depth,
    describe,
)
from langgraph_parallel.plan.heuristic.model import load_weights, probability
from langgraph_parallel.plan.heuristic.text import StepText


def expected_gain(sound: float, speedup: float, price: float) -> float:
    """Return the expected gain in speed-up of a relaxation.

    Args:
        sound: Probability that it keeps every dependence, from 0 to 1.
        speedup: Steps of the plan over steps of its longest path, if all take the same time.
        price: Gain in speed-up that an unsound plan costs.
    """
    return sound * (speedup - 1) - price * (1 - sound)


def choose_ancestors(
    steps: Sequence[StepText], rows: Rows, pairs: Pairs
) -> tuple[Ancestors, float] | None:
    """Return for each step the steps before it as bits, and how probable that is sound.

    None means that no relaxation is worth its risk.
    """
    price = load_weights()["price"]
    best: tuple[Ancestors, float] | None = None
    best_gain = 0.0
    for ancestors, by_threshold in candidates(len(steps), pairs).items():
        row = describe(steps, rows, pairs, ancestors, by_threshold=by_threshold)
        sound = probability("plans", row)
        gain = expected_gain(sound, len(steps) / depth(ancestors), price)
        if gain > best_gain:
            best, best_gain = (ancestors, sound), gain
    return best
