"""From plans with known dependencies to the weights of the heuristic, judged on plans kept apart.

Run `python -m benchmarks.fit_heuristic` (needs the extra `fit`); with `--write` it also fits on all
plans and writes `langgraph_parallel/plan/heuristic/weights.json`.

    words    logistic regression on the words of a pair                 -> one number more per pair
    pairs    boosted trees on the numbers of a pair                     -> is it dependent
    plans    boosted trees on the numbers of a relaxation               -> does it keep everything
    price    the lowest at which enough plans are sound

Each stage is fitted on what the stages before it say about plans that *they* were not fitted on.
For the table, plans are dealt into five folds, near-duplicates into the same one; all stages and
the price see four of them and are judged on the fifth. The weights in the package were fitted on
all sub-sets of WorFBench (`--data`), of which `benchmarks/data/plans` may hold one.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from benchmarks.plan_data import (
    DATA,
    ROOT,
    Ancestors,
    KnownPlan,
    chain,
    group_alike,
    is_sound,
    load_plans,
    score,
)
from langgraph_parallel.plan.heuristic.candidates import candidates, depth, describe
from langgraph_parallel.plan.heuristic.choice import expected_gain
from langgraph_parallel.plan.heuristic.features import pair_features, word_features
from langgraph_parallel.plan.heuristic.text import StepText, read_step

Numbers = NDArray[np.float64]

WEIGHTS = ROOT / "langgraph_parallel/plan/heuristic/weights.json"
SOUND = 0.95
"""Share of all plans that the price has to keep sound."""
PRICES = tuple(k / 20 for k in range(10, 61))
FOLDS, INNER_FOLDS = 5, 4
RAREST_WORD = 8
"""Pairs that must have a word before it gets a weight."""
# One thread and fixed seeds: the same data give the same trees.
COMMON = {
    "objective": "binary",
    "learning_rate": 0.05,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "verbose": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
}
PAIR_TREES = COMMON | {
    "num_leaves": 8,
    "min_data_in_leaf": 30,
    "feature_fraction": 0.5,
    "lambda_l2": 5,
}
PLAN_TREES = COMMON | {
    "num_leaves": 6,
    "min_data_in_leaf": 80,
    "feature_fraction": 0.6,
    "lambda_l2": 10,
}
PAIR_ROUNDS, PAIR_SEEDS = 160, 4
PLAN_ROUNDS, PLAN_SEEDS = 300, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All pairs of some plans, a row each, in the order of the plans."""

    plans: list[KnownPlan]
    steps: list[list[StepText]]
    pairs: list[tuple[int, int]]
    plan_of: NDArray[np.int64]
    """Position of each row's plan."""
    fold_of: NDArray[np.int64]
    """A number of each row's group; groups are dealt into folds by it."""
    numbers: Numbers
    words: list[list[str]]
    ordered: Numbers
    weights: Numbers
    """Less for the pairs of long plans: a plan counts in proportion to its length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A relaxation of a known plan."""

    order: Ancestors
    row: list[float]
    speedup: float
    sound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WordModel:
    """A weight for each word that is not rare."""

    columns: dict[str, int]
    model: LogisticRegression

    def log_odds(self, table: Table, rows: NDArray[np.int64]) -> Numbers:
        """Return what the words of each pair say."""
        return self.model.decision_function(_matrix(self.columns, table, rows))


class Forest:
    """Boosted trees, the mean of several seeds."""

    def __init__(
        self,
        x: Numbers,
        y: Numbers,
        weights: Numbers,
        settings: dict[str, Any],
        size: Sequence[int],
    ) -> None:
        rounds, seeds = size
        self.boosters = [
            lgb.train(settings | {"seed": s}, lgb.Dataset(x, y, weight=weights), rounds)
            for s in range(1, seeds + 1)
        ]

    def probability(self, x: Numbers) -> Numbers:
        """Return a probability for each row of numbers."""
        total = np.mean([b.predict(x, raw_score=True) for b in self.boosters], axis=0)
        return 1 / (1 + np.exp(-total))

    def export(self) -> list[Any]:
        """Return one list of trees whose sum is the mean over the seeds."""
        share = 1 / len(self.boosters)
        return [
            _nested(tree["tree_structure"], share)
            for booster in self.boosters
            for tree in booster.dump_model()["tree_info"]
        ]


def _nested(node: dict[str, Any], share: float) -> Any:
    if "leaf_value" in node:
        return round(node["leaf_value"] * share, 5)
    low, high = (_nested(node[side], share) for side in ("left_child", "right_child"))
    return [node["split_feature"], float(f"{node['threshold']:.7g}"), low, high]


# -- pairs -------------------------------------------------------------------------------------


def build_table(plans: list[KnownPlan]) -> Table:
    groups = group_alike(plans)
    names = sorted(set(groups))
    random.Random(0).shuffle(names)
    dealt = {name: k for k, name in enumerate(names)}
    steps = [[read_step(text) for text in plan.steps] for plan in plans]
    rows: list[tuple[int, tuple[int, int], list[float], list[str]]] = []
    for k, read in enumerate(steps):
        for (i, j), row in pair_features(read).items():
            rows.append((k, (i, j), row, word_features(read[i], read[j], len(read), i, j)))
    return Table(
        plans=plans,
        steps=steps,
        pairs=[pair for _, pair, _, _ in rows],
        plan_of=np.array([k for k, *_ in rows]),
        fold_of=np.array([dealt[groups[k]] for k, *_ in rows]),
        numbers=np.array([row for _, _, row, _ in rows], float),
        words=[sorted(set(words)) for *_, words in rows],
        ordered=np.array([plans[k].gold[j] >> i & 1 for k, (i, j), _, _ in rows], float),
        weights=np.array([1 / (len(steps[k]) - 1) for k, *_ in rows]),
    )


def deal(table: Table, rows: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Return a fold for each row, the same for all rows of a group."""
    order = np.random.RandomState(seed).permutation(int(table.fold_of.max()) + 1)
    return order[table.fold_of[rows]] % folds


def _matrix(columns: dict[str, int], table: Table, rows: NDArray[np.int64]) -> csr_matrix:
    ends, found = [0], []
    for r in rows:
        found += sorted(columns[word] for word in table.words[r] if word in columns)
        ends.append(len(found))
    return csr_matrix((np.ones(len(found)), found, ends), shape=(len(rows), len(columns)))


def fit_words(table: Table, rows: NDArray[np.int64]) -> WordModel:
    counts = Counter(word for r in rows for word in table.words[r])
    kept = sorted(word for word, count in counts.items() if count >= RAREST_WORD)
    columns = {word: k for k, word in enumerate(kept)}
    model = LogisticRegression(C=0.03, max_iter=300)
    model.fit(
        _matrix(columns, table, rows), table.ordered[rows], sample_weight=3 * table.weights[rows]
    )
    return WordModel(columns=columns, model=model)


def _fit_pairs(table: Table, rows: NDArray[np.int64], log_odds: Numbers) -> Forest:
    x = np.column_stack([table.numbers[rows], log_odds])
    size = (PAIR_ROUNDS, PAIR_SEEDS)
    return Forest(x, table.ordered[rows], table.weights[rows], PAIR_TREES, size)


def unseen_pairs(table: Table, rows: NDArray[np.int64]) -> tuple[Numbers, Numbers]:
    """Return the words' log-odds and the pairs' probabilities, for plans not fitted on."""
    log_odds, probabilities = np.zeros(len(rows)), np.zeros(len(rows))
    folds = deal(table, rows, INNER_FOLDS, seed=7)
    for k in range(INNER_FOLDS):
        words = fit_words(table, rows[folds != k])
        log_odds[folds == k] = words.log_odds(table, rows[folds == k])
    folds = deal(table, rows, INNER_FOLDS, seed=11)
    for k in range(INNER_FOLDS):
        model = _fit_pairs(table, rows[folds != k], log_odds[folds != k])
        x = np.column_stack([table.numbers[rows], log_odds])[folds == k]
        probabilities[folds == k] = model.probability(x)
    return log_odds, probabilities


# -- relaxations -------------------------------------------------------------------------------


def list_candidates(
    table: Table, rows: NDArray[np.int64], log_odds: Numbers, probabilities: Numbers
) -> dict[int, list[Candidate]]:
    """Return for each plan its relaxations."""
    numbers: defaultdict[int, dict[tuple[int, int], list[float]]] = defaultdict(dict)
    pairs: defaultdict[int, dict[tuple[int, int], float]] = defaultdict(dict)
    for r, log_odd, p in zip(rows, log_odds, probabilities, strict=True):
        k = int(table.plan_of[r])
        numbers[k][table.pairs[r]] = [*table.numbers[r].tolist(), float(log_odd)]
        pairs[k][table.pairs[r]] = float(p)
    found: dict[int, list[Candidate]] = {}
    for k, known in pairs.items():
        steps = table.steps[k]
        found[k] = [
            Candidate(
                order=order,
                row=describe(steps, numbers[k], known, order, by_threshold=kind),
                speedup=len(steps) / depth(order),
                sound=is_sound(table.plans[k], order),
            )
            for order, kind in candidates(len(steps), known).items()
        ]
    return found


def fit_plans(options: Sequence[list[Candidate]]) -> Forest:
    """Fit the risk of relaxations; a plan with many of them counts less than in proportion."""
    x = np.array([c.row for listed in options for c in listed])
    y = np.array([c.sound for listed in options for c in listed], float)
    weights = np.array([1 / math.sqrt(len(listed)) for listed in options for _ in listed])
    return Forest(x, y, weights, PLAN_TREES, (PLAN_ROUNDS, PLAN_SEEDS))


Judged = list[tuple[Candidate, float]]


def judge(model: Forest, listed: list[Candidate]) -> Judged:
    if not listed:
        return []
    return list(zip(listed, model.probability(np.array([c.row for c in listed])), strict=True))


def choose(plan: KnownPlan, judged: Judged, price: float) -> Ancestors:
    gains = [(expected_gain(p, c.speedup, price), c.order) for c, p in judged]
    best, order = max(gains, default=(0.0, ()), key=lambda gain: gain[0])
    return order if best > 0 else chain(len(plan.steps))


def choose_price(table: Table, judged: dict[int, Judged]) -> float:
    """Return the lowest price at which enough plans are sound."""

    def sound(price: float) -> float:
        kept = [is_sound(table.plans[k], choose(table.plans[k], judged[k], price)) for k in judged]
        return sum(kept) / len(kept)

    return next((price for price in PRICES if sound(price) >= SOUND), PRICES[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """All stages, fitted on some rows."""

    words: WordModel
    pairs: Forest
    plans: Forest
    price: float

    def orders(self, table: Table, rows: NDArray[np.int64]) -> dict[int, Ancestors]:
        """Return what the heuristic makes of each plan."""
        log_odds = self.words.log_odds(table, rows)
        x = np.column_stack([table.numbers[rows], log_odds])
        options = list_candidates(table, rows, log_odds, self.pairs.probability(x))
        return {
            k: choose(table.plans[k], judge(self.plans, listed), self.price)
            for k, listed in options.items()
        }


def fit(table: Table, rows: NDArray[np.int64]) -> Fitted:
    log_odds, probabilities = unseen_pairs(table, rows)
    options = list_candidates(table, rows, log_odds, probabilities)
    folds = dict(zip(table.plan_of[rows], deal(table, rows, INNER_FOLDS, seed=13), strict=True))
    judged: dict[int, Judged] = {}
    for fold in range(INNER_FOLDS):
        model = fit_plans([options[k] for k in options if folds[k] != fold])
        judged |= {k: judge(model, options[k]) for k in options if folds[k] == fold}
    return Fitted(
        words=fit_words(table, rows),
        pairs=_fit_pairs(table, rows, log_odds),
        plans=fit_plans(list(options.values())),
        price=choose_price(table, judged),
    )


def cross_validate(table: Table) -> dict[int, Ancestors]:
    """Return what the heuristic makes of each plan when it has not seen it or a near-duplicate."""
    rows = np.arange(len(table.pairs))
    folds = deal(table, rows, FOLDS, seed=3)
    found: dict[int, Ancestors] = {}
    for fold in range(FOLDS):
        fitted = fit(table, rows[folds != fold])
        found |= fitted.orders(table, rows[folds == fold])
        print(f"fold {fold}: price {fitted.price:.2f}", flush=True)
    return found


def write(fitted: Fitted, path: Path) -> None:
    weights = fitted.words.model.coef_[0]
    names = fitted.words.columns
    data = {
        "words": {word: round(float(weights[k]), 4) for word, k in names.items()},
        "bias": round(float(fitted.words.model.intercept_[0]), 4),
        "pairs": fitted.pairs.export(),
        "plans": fitted.plans.export(),
        "price": fitted.price,
    }
    path.write_text(json.dumps(data, separators=(",", ":")) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the plans")
    parser.add_argument("--write", action="store_true", help="write the weights of the package")
    options = parser.parse_args()
    table = build_table(load_plans(options.data))
    print(f"{len(table.plans)} plans, {len(table.pairs)} pairs")
    orders = cross_validate(table)
    for source in sorted({plan.source for plan in table.plans}):
        chosen = [(p, orders[k]) for k, p in enumerate(table.plans) if p.source == source]
        print(source, score(chosen))
    if options.write:
        fitted = fit(table, np.arange(len(table.pairs)))
        write(fitted, WEIGHTS)
        print(f"price {fitted.price:.2f}, {WEIGHTS.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
