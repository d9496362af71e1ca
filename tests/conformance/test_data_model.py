"""Whatever special method Python calls by itself, both modes answer as the original graph does.

By default one case is made of every third operation, and of every operation in `make test-all`.
`CONFORMANCE=pairs` runs every operation with every receiver and every position, `all` the whole
product (days); a number runs so many cases of each operation. `CONFORMANCE_SEED` draws others.
`CONFORMANCE_FAILURES` names a file to write the failing cases to.
"""

import os
import random
from itertools import islice

import pytest
from cases import OPERATIONS, pairs, product, sample
from runs import MODES, TALLY, outcome, shows_order, written

_PROFILE = os.environ.get("CONFORMANCE", "few")
_SEED = os.environ.get("CONFORMANCE_SEED", "0")
_EVERY = 3
"""By default one operation of so many is tried."""
_MOST_DRAWS = 12
"""Draws of a case before an operation counts as broken: not every draw can show an order."""


def drawn(operation):
    """Yield the cases of an operation in this profile, and how many of them are wanted."""
    rng = random.Random(f"{_SEED} {operation.id}")
    if _PROFILE == "all":
        return product(operation, rng), None
    if _PROFILE == "pairs":
        return pairs(operation, rng), None
    wanted = 1 if _PROFILE == "few" else int(_PROFILE)
    return islice(sample(operation, rng), wanted * _MOST_DRAWS), wanted


def check(case, fresh):
    """Run a case in the original and in each mode; return the modes that answer otherwise."""
    expected, _ = outcome(fresh(), case.shape)
    wrong = []
    for mode in MODES:
        found, moved = outcome(fresh(), case.shape, mode)
        TALLY.judge(case.id, mode, equal=found == expected, moved=moved)
        if found != expected:
            wrong.append(f"{case.id} [{mode}]: {found}, not {expected}")
    return wrong


def run(operation, folder):
    cases, wanted = drawn(operation)
    wrong, done = [], 0
    for case in cases:
        with written(case.source, folder) as fresh:
            if not shows_order(fresh):
                continue
            wrong += check(case, fresh)
        TALLY.count(
            operation=operation.family,
            receiver=case.receiver.name,
            position=case.position.name,
            role=case.role,
            memory=case.memory,
            shape=case.shape,
        )
        done += 1
        if done == wanted:
            break
    assert done, f"no case of {operation.id} shows an order"
    return wrong


_DRAWN = OPERATIONS[::_EVERY] if _PROFILE == "few" else OPERATIONS


@pytest.mark.timeout(0)
@pytest.mark.parametrize("operation", _DRAWN, ids=lambda operation: operation.id)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_implicit_call_keeps_its_order(operation, tmp_path_factory):
    wrong = run(operation, tmp_path_factory.getbasetemp())
    assert not wrong, "\n".join(wrong)
