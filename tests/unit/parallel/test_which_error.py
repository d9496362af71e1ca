"""Of two nodes of one superstep that fail, either may be the one whose error is seen."""

import pytest

from langgraph_parallel.equivalence.outcome import Facts, Outcome, difference


def facts(*levels):
    return Facts(
        text="",
        is_parallel=True,
        levels=(tuple(map(frozenset, levels)),),
        together=frozenset(),
        keeps={},
        starts_tasks=False,
        turns={},
    )


def failed(name):
    return Outcome(error=(ValueError, name), failed=name)


@pytest.mark.parametrize(
    ("expected", "found", "is_allowed"),
    [
        ("j", "d", True),
        ("j", "d/r", True),
        ("d/r", "j", True),
        ("i", "d/r", False),
        ("i", "j", False),
        ("j", "elsewhere/r", False),
    ],
)
def test_an_error_of_the_same_superstep_may_come_first(expected, found, is_allowed):
    told = difference(failed(expected), failed(found), facts({"i"}, {"j", "d"}))
    assert (told == "") is is_allowed
