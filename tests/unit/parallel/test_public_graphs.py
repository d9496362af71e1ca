"""Five public graphs: what is made parallel in them, what is not yet, and that answers are kept."""

import pytest
from echo_model import ScriptedModel

from benchmarks.public_graphs import CASES, missed
from langgraph_parallel import explain
from langgraph_parallel.testing import assert_equivalent

BY_NAME = {case.name: case for case in CASES}
TOLD = [case.name for case in CASES if case.told]


def levels_of(name, **options):
    report = explain(BY_NAME[name].build(ScriptedModel()), **options)
    return [[list(level) for level in part.levels] for part in report.regions]


def missed_in(name, **options):
    case = BY_NAME[name]
    return {
        (earlier, later): reason
        for earlier, later, reason in missed(case, explain(case.build(ScriptedModel()), **options))
    }


def check(name, *inputs, script=None, **options):
    assert_equivalent(BY_NAME[name].build(ScriptedModel(script=script or {})), inputs, **options)


@pytest.mark.parametrize("name", BY_NAME)
def test_answers_are_kept(name):
    check(name, BY_NAME[name].given)


@pytest.mark.parametrize("name", TOLD)
def test_answers_are_kept_when_told_more(name):
    check(name, BY_NAME[name].given, **BY_NAME[name].told)


def test_three_readers_of_one_text_run_side_by_side():
    assert levels_of("text_analysis") == [
        [["classification_node", "entity_extraction", "summarization"]]
    ]
    assert not missed_in("text_analysis")


@pytest.mark.parametrize("sentiment", ["Negative", "Neutral"])
@pytest.mark.parametrize("category", ["Technical", "Billing", "General"])
def test_every_way_through_the_support_desk_is_kept(category, sentiment):
    script = {"Technical, Billing": category, "Positive, Neutral": sentiment}
    check("customer_support", BY_NAME["customer_support"].given, script=script)


def test_node_whose_router_reads_what_its_neighbor_writes_stays_behind_it():
    assert levels_of("customer_support") == [[["categorize"], ["analyze_sentiment"]]]
    assert set(missed_in("customer_support")) == {("categorize", "analyze_sentiment")}


def test_vendor_calls_hold_the_council_in_order():
    assert levels_of("investment_council") == [
        [
            ["macro_analyst"],
            ["fundamental_analyst"],
            ["technical_analyst"],
            ["risk_manager"],
            ["chairperson"],
        ]
    ]
    assert all("urlopen" in reason for reason in missed_in("investment_council").values())


def test_last_of_three_reports_wins_when_told():
    told = BY_NAME["investment_council"].told
    assert levels_of("investment_council", **told) == [
        [
            ["macro_analyst", "fundamental_analyst", "technical_analyst", "risk_manager"],
            ["chairperson"],
        ]
    ]
    assert not missed_in("investment_council", **told)


@pytest.mark.parametrize(
    "task",
    [
        {"query": "tides", "max_sections": 2},
        {"query": "tides", "guidelines": "Be brief.", "include_human_feedback": False},
    ],
)
@pytest.mark.parametrize("review", ["None", "The second section is wrong."])
def test_fact_check_loop_is_kept(task, review):
    check("research_report", {"task": task}, script={"What is wrong": review})


@pytest.mark.parametrize("options", [{}, BY_NAME["research_report"].told])
def test_nothing_moves_across_a_loop_yet(options):
    assert levels_of("research_report", **options) == []
    assert set(missed_in("research_report", **options)) == {("writer", "visualizer")}


def test_hidden_tool_calls_hold_the_trip_in_order():
    assert levels_of("travel_plan") == [
        [
            ["validate_input"],
            ["research_destination"],
            ["plan_itinerary"],
            ["suggest_accommodations"],
            ["recommend_activities"],
            ["compile_final_plan"],
        ]
    ]
    assert all("not known" in reason for reason in missed_in("travel_plan").values())


def test_whole_state_returns_do_not_hold_the_trip_when_told():
    told = BY_NAME["travel_plan"].told
    assert levels_of("travel_plan", **told) == [
        [
            ["validate_input", "research_destination"],
            ["plan_itinerary"],
            ["suggest_accommodations", "recommend_activities"],
            ["compile_final_plan"],
        ]
    ]
    assert not missed_in("travel_plan", **told)
