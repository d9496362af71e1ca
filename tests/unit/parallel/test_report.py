"""The report says, for each pair, what holds it and where."""

import pytest
from test_fanout import chain, join_all, read_a, read_b, read_c

from langgraph_parallel import ParallelConfig, explain


def test_text_names_levels_pairs_and_speedup():
    report = explain(chain(read_a, read_b, read_c, join_all))
    text = str(report)
    assert text.startswith("Parallel: 4 -> 2 calls, predicted speed-up 2.00x")
    assert "superstep 1: read_a, read_b, read_c" in text
    assert "read_a -> read_b: independent: no state key or outside effect connects them" in text
    assert "read_a -> join_all: ordered: join_all reads 'a', which read_a writes (" in text


def test_every_pair_has_a_verdict():
    report = explain(chain(read_a, read_b, read_c, join_all))
    assert len(list(report.pairs())) == 6
    assert report.why("read_a", "read_b").startswith("independent")
    with pytest.raises(KeyError, match="in this order"):
        report.why("read_b", "read_a")


def test_given_durations_weigh_the_prediction():
    durations = {"read_a": 3.0, "read_b": 1.0, "read_c": 1.0, "join_all": 1.0}
    config = ParallelConfig(durations=durations)
    report = explain(chain(read_a, read_b, read_c, join_all), config=config)
    assert (report.work, report.span, report.unit) == (6.0, 4.0, "s")
    assert report.speedup == 1.5


def test_mermaid_shows_joins_as_thick_edges():
    report = explain(chain(read_a, read_b, read_c, join_all))
    assert report.before.count("==>") == 0
    assert report.mermaid().count("==>") == 3
    assert 'n1["read_a"]' in report.after


def test_nothing_to_gain_says_why():
    def second(state):
        return {"b": state["a"]}

    text = str(explain(chain(read_a, second)))
    assert text.startswith("Nothing was made parallel.")
    assert "second reads 'a', which read_a writes" in text
