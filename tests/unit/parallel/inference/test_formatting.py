"""Constant texts that are filled in from the state: only the keys that they name are read."""

import string
from typing import Any

import pytest
from typing_extensions import TypedDict

from langgraph_parallel import ALL, infer_effects

TEXTS = {"unknown": "{a}"}
TEMPLATE = string.Template("$a and ${b}")
CHANGED = string.Template("$a")


class Percent(string.Template):
    delimiter = "%"


OWN_TEMPLATE = Percent("%a")


class State(TypedDict, total=False):
    a: str
    b: str
    c: str
    items: list[str]
    thing: Any


def fills_in(state):
    return {"c": "{a} {b!r} {items[0]}".format(**state)}


def fills_in_a_width(state):
    return {"c": "{a:>{b}}".format(**state)}


def fills_in_with_more(state):
    return {"c": "{a} {extra}".format(**state, extra=state["b"])}


def maps(state):
    return {"c": "{a} {{b}}".format_map(state)}


def fills_in_a_template(state):
    return {"c": TEMPLATE.substitute(**state)}


def fills_in_a_template_from_it(state):
    return {"c": TEMPLATE.safe_substitute(state)}


@pytest.mark.parametrize(
    ("node", "keys"),
    [
        (fills_in, {"a", "b", "items"}),
        (fills_in_a_width, {"a", "b"}),
        (fills_in_with_more, {"a", "b"}),
        (maps, {"a"}),
        (fills_in_a_template, {"a", "b"}),
        (fills_in_a_template_from_it, {"a", "b"}),
    ],
)
def test_only_the_keys_that_a_text_names_are_read(node, keys):
    found = infer_effects(node, State)
    assert found.reads == keys
    assert not found.external
    assert not found.mutates


def fills_in_an_unknown_text(state):
    return {"c": state["a"].format(**state)}


def fills_in_a_global_text(state):
    return {"c": TEXTS[state["a"]].format(**state)}


def fills_in_by_position(state):
    return {"c": "{0}".format(state)}  # noqa: UP030, UP032


def maps_a_malformed_text(state):
    return {"c": "{a".format_map(state)}


def fills_in_a_template_of_its_own_kind(state):
    return {"c": OWN_TEMPLATE.substitute(**state)}


def changes_a_template(state):
    CHANGED.template = state["a"]
    return {"c": CHANGED.substitute(**state)}


@pytest.mark.parametrize(
    "node",
    [
        *(fills_in_an_unknown_text, fills_in_a_global_text, fills_in_by_position),
        *(maps_a_malformed_text, fills_in_a_template_of_its_own_kind, changes_a_template),
    ],
)
def test_a_text_that_is_not_known_may_name_any_key(node):
    assert infer_effects(node, State).reads is ALL


def test_a_value_of_unknown_type_formats_itself():
    def node(state):
        return {"c": "{thing}".format(**state)}

    found = infer_effects(node, State)
    assert (found.reads, "unknown" in found.external) == ({"thing"}, True)
