"""The interpreter names every kind of syntax that the running Python has, or refuses it by name."""

import ast

import pytest

from langgraph_parallel.inference.machine.frame import EXPRESSIONS, STATEMENTS

REFUSED = {
    "TemplateStr": "t-strings, from Python 3.14",
    "Interpolation": "as TemplateStr",
}
"""Kinds without a rule: a node with one is unknown, so it is ordered against everything."""
PATTERNS = {
    *("MatchAs", "MatchClass", "MatchMapping", "MatchOr", "MatchSequence", "MatchSingleton"),
    *("MatchStar", "MatchValue"),
}
"""Patterns that the rule for `match` was written for."""


def kinds_of(base):
    """Return the names of the concrete node classes, without those that are deprecated."""
    return {
        kind.__name__
        for kind in base.__subclasses__()
        if kind.__module__ in ("ast", "_ast") and "Deprecated" not in (kind.__doc__ or "")
    }


@pytest.mark.parametrize(("base", "rules"), [(ast.expr, EXPRESSIONS), (ast.stmt, STATEMENTS)])
def test_every_kind_has_a_rule_or_a_refusal(base, rules):
    named = {kind.__name__ for kind in rules}
    assert not kinds_of(base) - named - set(REFUSED)
    assert not named & set(REFUSED), "a kind with a rule is not refused any more"


def test_every_pattern_is_named():
    assert kinds_of(ast.pattern) == PATTERNS
