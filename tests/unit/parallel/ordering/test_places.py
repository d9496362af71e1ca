"""Nodes that touch one place outside the state keep their order; others need not."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from langgraph_parallel.effects import Effects
from langgraph_parallel.locations import ANYWHERE, HANDLERS, Location, ordered_places, world
from langgraph_parallel.ordering.dependence import (
    Rule,
    build_schedule,
    build_steps,
    constrain,
    touched_by_both,
)

OWNERS = [object(), object()]
PLACES = [
    *(Location(owner, part) for owner in OWNERS for part in (None, ".a", ".b")),
    *(ANYWHERE, HANDLERS, world("files")),
]
places = st.frozensets(st.sampled_from(PLACES), max_size=3)
nodes = st.lists(st.tuples(places, places, st.booleans()), min_size=1, max_size=8)


def steps_of(drawn):
    effects = {
        f"n{i}": Effects(
            looks_at=looks,
            changes=changes,
            control=frozenset({"raise"} if raises else ()),
        )
        for i, (looks, changes, raises) in enumerate(drawn)
    }
    return build_steps(list(effects), effects, frozenset(), frozenset())


@given(nodes)
def test_the_schedule_keeps_what_each_pair_must_keep(drawn):
    steps = steps_of(drawn)
    levels = build_schedule(steps).levels
    for (i, earlier), (j, later) in itertools.combinations(enumerate(steps), 2):
        if touched_by_both(earlier, later) or ordered_places(later.changes):
            assert levels[i] < levels[j]
        if earlier.fence or later.fence:
            assert levels[i] < levels[j]


@given(nodes)
def test_nodes_that_touch_nothing_of_one_another_start_at_once(drawn):
    steps = steps_of((looks, frozenset(), False) for looks, _, _ in drawn)
    assert set(build_schedule(steps).levels) == {0}


def test_each_order_is_named_by_its_rule():
    calls, files = PLACES[1], PLACES[-1]
    counts, bills, writes = steps_of(
        [
            (frozenset(), {calls}, False),
            ({calls}, frozenset(), False),
            (frozenset(), {files}, False),
        ]
    )
    assert constrain(counts, bills).rule is Rule.MEMORY
    assert constrain(bills, counts).rule is Rule.MEMORY, "memory has no snapshots"
    assert constrain(bills, writes).rule is Rule.FAILURE
    guard, plain = steps_of([(frozenset(), {calls}, True), (frozenset(), frozenset(), False)])
    assert guard.fence is Rule.FAILURE
    assert constrain(guard, plain).rule is Rule.FAILURE
