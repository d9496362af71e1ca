"""Two places outside the state are the same where they may be one, and only there."""

import pytest

from langgraph_parallel.locations import (
    ANY_ITEM,
    ANYWHERE,
    HANDLERS,
    LOG,
    Location,
    any_attribute,
    meeting,
    ordered_places,
    overlaps,
    world,
)

BOX, OTHER, NAMES = {}, {}, {}
WHOLE, ITEM, LATER = Location(BOX), Location(BOX, "['k']"), Location(BOX, "['n']")
CALLS = Location(OTHER, ".calls")
NAME = Location(NAMES, "config", "config", "name")


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (WHOLE, ITEM, True),
        (ITEM, Location(BOX, "['k']"), True),
        (ITEM, LATER, False),
        (WHOLE, Location(OTHER), False),  # equal, and another object
        (ANYWHERE, ITEM, True),
        (ANYWHERE, CALLS, True),
        (ANY_ITEM, ITEM, True),
        (ANY_ITEM, WHOLE, True),
        (ANY_ITEM, CALLS, False),
        (any_attribute("calls"), CALLS, True),
        (any_attribute("name"), CALLS, False),
        (ANYWHERE, NAME, False),  # an unknown object is no namespace
        (ANYWHERE, world("environment"), False),
        (world("environment"), world("environment", "['HOME']"), True),
        (world("environment", "['A']"), world("environment", "['B']"), False),
        (world("files"), world("clock"), False),
    ],
)
def test_overlap(a, b, same):
    assert overlaps(a, b) is overlaps(b, a) is same
    assert bool(meeting([a], [b])) is bool(meeting([b], [a])) is same


def test_adding_to_a_log_has_no_order_but_looking_has():
    assert not meeting([LOG, HANDLERS], [LOG, HANDLERS], both_change=True)
    assert meeting([HANDLERS], [HANDLERS])
    assert ordered_places({LOG, HANDLERS, CALLS}) == {CALLS}


def test_a_place_is_called_as_the_code_calls_it():
    assert str(Location(BOX, "['k']", "CACHE['k']")) == "CACHE['k']"
    assert str(Location(BOX, "['k']")) == "dict['k']"
    assert str(world("environment", "['HOME']")) == "the environment['HOME']"
