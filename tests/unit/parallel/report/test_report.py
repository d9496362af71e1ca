"""The report says, for each pair, what holds it and where, in every form it takes."""

import io
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from chains import chain, join_all, read_a, read_b, read_c
from langgraph.graph import START, StateGraph
from rich.console import Console
from typing_extensions import TypedDict

from langgraph_parallel import Effects, ParallelConfig, explain
from langgraph_parallel.effects import Evidence
from langgraph_parallel.report.html import as_page
from langgraph_parallel.report.mermaid import draw_mermaid

EVIL = "<script>alert('x')</script>&\"[bold]`"


def report_of(*nodes, **options):
    return explain(chain(*nodes, **options))


def declared_chain(**effects):
    """Explain a chain of nodes that do nothing but what is declared."""

    class Keys(TypedDict, total=False):
        k: str

    builder = StateGraph(Keys)
    builder.add_sequence([(name, lambda state: None) for name in effects])
    builder.add_edge(START, next(iter(effects)))
    return explain(builder, effects=effects)


def test_text_names_levels_pairs_and_speedup():
    text = str(report_of(read_a, read_b, read_c, join_all))
    assert text.startswith("Parallel: 4 -> 2 calls, predicted speed-up 2.00x\nRun read_a -> ")
    assert "superstep 1: read_a, read_b, read_c" in text
    assert "read_a -> read_b: independent: no state key or outside effect connects them" in text
    assert "read_a -> join_all: ordered: join_all reads 'a', which read_a writes (" in text


def test_every_pair_has_a_verdict():
    report = report_of(read_a, read_b, read_c, join_all)
    assert len(list(report.pairs())) == 6 == report.regions[0].pair_count
    assert report.why("read_a", "read_b").startswith("independent")
    assert report.why("read_c", "join_all").startswith("ordered: join_all reads 'c'")
    with pytest.raises(KeyError, match="in this order"):
        report.why("read_b", "read_a")
    with pytest.raises(KeyError, match="in this order"):
        report.why("read_b", "nobody")


def test_given_durations_weigh_the_prediction():
    durations = {"read_a": 3.0, "read_b": 1.0, "read_c": 1.0, "join_all": 1.0}
    config = ParallelConfig(durations=durations)
    report = explain(chain(read_a, read_b, read_c, join_all), config=config)
    assert (report.work, report.span, report.unit) == (6.0, 4.0, "s")
    assert report.speedup == 1.5


def test_recorded_seconds_give_the_measured_speedup():
    report = report_of(read_a, read_b, read_c, join_all)
    assert report.measured_speedup is None
    measured = report.with_measured({"read_a": 2.0, "read_b": 1.0, "read_c": 0.5, "join_all": 0.5})
    assert measured.measured_speedup == 4.0 / 2.5
    assert measured.speedup == report.speedup == 2.0
    assert repr(report).startswith("<ParallelReport of 4 nodes: Parallel: 4 -> 2 calls, ")
    first = str(measured).splitlines()[0]
    assert first.endswith("predicted speed-up 2.00x; measured 4 -> 2.5 s, 1.60x")
    assert measured.to_dict()["measured"] == {"work_s": 4.0, "span_s": 2.5, "speedup": 1.6}


def test_nothing_to_gain_says_why():
    def second(state):
        return {"b": state["a"]}

    text = str(report_of(read_a, second))
    assert text.startswith("Nothing was made parallel.")
    assert "second reads 'a', which read_a writes" in text


# -- Mermaid -------------------------------------------------------------------------------------


def test_mermaid_shows_joins_as_thick_edges():
    report = report_of(read_a, read_b, read_c, join_all)
    assert report.before.count("==>") == 0
    assert report.mermaid().count("==>") == 3
    assert "n3 --> n4" not in report.after
    assert 'n1["read_a"]' in report.after


def test_mermaid_label_cannot_end_early_or_hold_markup():
    graph = SimpleNamespace(
        nodes={EVIL + "\n]": None}, edges=frozenset(), joins=frozenset(), routers={}
    )
    label = re.search(r'n1\["(.*)"\]$', draw_mermaid(graph), re.MULTILINE)
    assert label is not None
    assert not set(label[1]) & set('<>"&`\n')
    assert label[1].startswith("#60;script#62;")


# -- JSON ----------------------------------------------------------------------------------------


def test_dictionary_has_the_documented_keys():
    found = report_of(read_a, read_b, read_c, join_all).to_dict()
    assert list(found) == [
        "schema",
        "is_parallel",
        "unit",
        "work",
        "span",
        "speedup",
        "measured",
        "regions",
        "effects",
        "pairs",
        "pair_count",
        "blockers",
        "refusals",
        "bodies",
        "mermaid",
    ]
    (region,) = found["regions"]
    assert region["levels"] == [["read_a", "read_b", "read_c"], ["join_all"]]
    assert region["waits_for"]["join_all"] == ["read_a", "read_b", "read_c"]
    assert found["effects"]["read_a"]["reads"] == ["text"]
    (evidence,) = found["effects"]["read_a"]["evidence"]
    assert evidence["what"] == "reads 'text'"
    assert re.search(r"chains\.py:\d+$", evidence["where"])
    last = found["pairs"][-1]
    assert (last["earlier"], last["later"], last["rule"], last["keys"]) == (
        "read_c",
        "join_all",
        "RAW",
        ["c"],
    )
    assert found["pairs"][0]["rule"] is None
    assert found["pairs"][0]["together"] is True


def test_json_is_the_dictionary_and_pairs_can_be_limited():
    report = report_of(read_a, read_b, read_c, join_all)
    assert json.loads(report.to_json()) == report.to_dict()
    short = report.to_dict(max_pairs=2)
    assert (len(short["pairs"]), short["pair_count"]) == (2, 6)
    assert len(report.to_dict(max_pairs=None)["pairs"]) == 6


def test_unbounded_keys_are_spelled_all():
    top = declared_chain(a=Effects.top(), b=Effects())
    assert top.to_dict()["effects"]["a"]["reads"] == "ALL"


# -- HTML ----------------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.opened, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)

    def handle_data(self, data):
        self.text += data


def test_html_shows_before_and_after_and_needs_nothing_else():
    html = report_of(read_a, read_b, read_c, join_all)._repr_html_()
    before, after = map(ElementTree.fromstring, re.findall(r"<svg.*?</svg>", html))
    assert len({rect.get("y") for rect in before.iter("rect")}) == 4
    assert len({rect.get("y") for rect in after.iter("rect")}) == 2
    assert len(list(after.iter("line"))) == 3
    assert not re.search(r"https?:|src=|<script|@import|url\(", html)


def test_html_escapes_what_comes_from_the_graph():
    vile = Evidence(what=f"calls {EVIL}", where=EVIL)
    report = declared_chain(
        **{
            EVIL: Effects(reads={"k"}, external={"unknown"}, evidence=(vile,)),
            "b": Effects(external={"model"}),
        }
    )
    page = as_page([(EVIL, report)])
    tags = Tags(page)
    assert "script" not in tags.opened
    assert EVIL in tags.text
    assert tags.opened.count("svg") == 2
    assert "What would help" in tags.text


# -- terminal ------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_show_draws_a_tree_on_a_terminal_and_text_elsewhere(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    report = report_of(read_a, read_b)
    file, terminal = io.StringIO(), Terminal()
    report.show(file)
    report.show(terminal)
    assert file.getvalue() == f"{report}\n"
    assert "\x1b[" in terminal.getvalue()
    assert "read_a, read_b" in terminal.getvalue()


def test_show_does_without_rich(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rich.console", None)
    terminal = Terminal()
    report_of(read_a, read_b).show(terminal)
    assert terminal.getvalue().startswith("Parallel: 2 -> 1 calls")


def test_brackets_in_a_name_are_no_markup():
    report = declared_chain(**{EVIL: Effects(), "b": Effects()})
    console = Console(file=io.StringIO(), width=200)
    console.print(report)
    assert "[bold]" in console.file.getvalue()


# -- size ----------------------------------------------------------------------------------------


def large_report(size, **effects):
    return declared_chain(**{f"n{i:04}": Effects(**effects) for i in range(size)})


@pytest.mark.parametrize(
    "effects", [{"external": {"unknown"}}, {"writes": {"k"}}, {"reads": {"k"}}, {"reads": "ALL"}]
)
def test_text_of_a_large_chain_looks_at_few_pairs(monkeypatch, effects):
    from langgraph_parallel import ALL
    from langgraph_parallel.report import region as module

    effects = {name: ALL if value == "ALL" else value for name, value in effects.items()}
    report = large_report(1000, **effects)
    seen, scheduled = [], []
    monkeypatch.setattr(
        module, "constrain", lambda a, b, real=module.constrain: seen.append(1) or real(a, b)
    )
    monkeypatch.setattr(
        "langgraph_parallel.report.blockers.build_schedule", lambda *a: scheduled.append(1)
    )
    text = str(report)
    assert len(seen) <= 61
    assert not scheduled
    assert len(text) < 100_000
    assert "more (see report.pairs())" in text
    assert "What would help: see report.blockers()" in text


def test_report_of_a_large_chain_is_fast():
    report = large_report(1000, external={"unknown"})
    start = time.process_time()
    assert report.speedup == 1.0
    assert len(report.regions[0].levels) == 1000
    str(report)
    report.to_json()
    assert report.blockers()
    report._repr_html_()
    # Some 0.7 s; quadratic work over the half million pairs takes several times that.
    assert time.process_time() - start < 5.0


def test_report_can_be_changed_only_by_making_another():
    report = report_of(read_a, read_b)
    with pytest.raises(AttributeError):
        report.unit = "s"
    assert replace(report, unit="s") != report
