"""The four numbers by which analyzers of plans are judged."""

from __future__ import annotations

import json

import pytest

from benchmarks.plan_data import (
    DATA,
    HELD_OUT,
    KnownPlan,
    chain,
    group_alike,
    load_plans,
    read_plans,
    score,
    speedup,
)

DIAMOND = KnownPlan(
    id="x",
    source="asynchow",
    task="bake",
    steps=("buy flour", "buy sugar", "mix flour and sugar"),
    edges=((0, 2), (1, 2)),
    seconds=(4.0, 2.0, 2.0),
)


def test_known_order_scores_full_marks() -> None:
    found = score([(DIAMOND, DIAMOND.gold)])
    assert (found.edge_f1, found.closure_recall, found.sound) == (1, 1, 1)
    assert found.speedup == pytest.approx(8 / 6)


def test_chain_is_sound_and_no_faster() -> None:
    found = score([(DIAMOND, chain(3))])
    assert (found.closure_recall, found.sound, found.speedup) == (1, 1, 1)
    assert found.edge_f1 == pytest.approx(1 / 2)


def test_order_that_misses_one_gains_nothing() -> None:
    found = score([(DIAMOND, (0, 0, 1))])
    assert (found.closure_recall, found.sound, found.speedup) == (1 / 2, 0, 1)
    assert speedup(DIAMOND, (0, 0, 1)) > 1


def test_held_out_plans_are_nowhere_else() -> None:
    plans, apart = load_plans(), read_plans(HELD_OUT)
    listed = [entry["id"] for path in DATA.glob("*.json") for entry in json.loads(path.read_text())]
    assert len(listed) == len(set(listed)) == len(plans)
    assert not set(listed) & {plan.id for plan in apart}
    groups = group_alike([*apart, *plans])
    assert not set(groups[: len(apart)]) & set(groups[len(apart) :])
