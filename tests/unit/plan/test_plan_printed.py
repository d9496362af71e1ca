"""Plans as ReWOO and LLMCompiler print them, and as their parsers hand them on."""

from __future__ import annotations

import pytest

from langgraph_parallel import ParallelConfig, ParallelExecutor, ParallelPlanner, PlanError
from langgraph_parallel.plan.reading import read_plan

COMPILER = """Thought: two numbers are needed.
1. search("population of Oslo")
2. search(query="population of Rome", limit=3)
Thought: now I can add them.
3. math("$1 + $2", context=["$1"])
4. join()<END_OF_PLAN>"""
REWOO = """Plan: Find the capital. #E1 = Google[capital of Peru]
Plan: Find who founded it.
#E2 = LLM[Who founded #E1 [the city]?]"""


def shown(plan):
    return [(t.id, t.tool, t.inputs, t.depends_on) for t in read_plan(plan)[0]]


def test_text_of_llmcompiler_is_read_as_calls():
    assert shown(COMPILER) == [
        ("1", "search", {"args": ["population of Oslo"]}, ()),
        ("2", "search", {"query": "population of Rome", "limit": 3}, ()),
        ("3", "math", {"args": ["$1 + $2"], "context": ["$1"]}, ("1", "2")),
    ]
    assert read_plan(COMPILER)[0][2].description == "now I can add them."
    assert shown(COMPILER.splitlines()[1:3]) == shown(COMPILER)[:2]


def test_text_of_rewoo_is_read_as_calls():
    assert shown(REWOO) == [
        ("E1", "Google", {"input": "capital of Peru"}, None),
        ("E2", "LLM", {"input": "Who founded #E1 [the city]?"}, None),
    ]
    plan = ParallelPlanner().optimize(REWOO)
    assert plan.why("E1", "E2").reason == "refers to it as #E1"


def test_tuples_of_the_parsers_are_read_as_calls():
    assert shown([("Find it.", "#E1", "Google", "Peru"), ("Ask.", "#E2", "LLM", "#E1?")]) == [
        ("E1", "Google", {"input": "Peru"}, None),
        ("E2", "LLM", {"input": "#E1?"}, None),
    ]
    parsed = [
        ("", "1", "search", '"Oslo"', ""),
        ("", "2", "math", "$1 * 2", ""),
        ("", "3", "join", "", ""),
    ]
    assert shown(parsed) == [
        ("1", "search", {"args": ["Oslo"]}, ()),
        ("2", "math", {"args": ["$1 * 2"]}, ("1",)),
    ]
    assert shown([(7, "search", {"q": "x"}, []), (8, "math", ("$7",), [7])]) == [
        ("7", "search", {"q": "x"}, ()),
        ("8", "math", {"args": ["$7"]}, ("7",)),
    ]


def test_sentences_and_prices_of_llmcompiler():
    text = """1. search("capital of Peru")
2. search("population of $1")
3. search("hotels in $1 under $2 or for $1 or less")"""
    plan = ParallelPlanner().optimize(text)
    assert [task.depends_on for task in plan.tasks] == [(), ("1",), ("1",)]
    got = {}

    def run(task):
        got[task.id] = task.inputs["args"][0]
        return "LIMA $2"

    ParallelExecutor(run_task=run).execute(plan)
    assert got["2"] == "population of LIMA $2"
    assert got["3"].startswith("hotels in LIMA $2 under $2")


@pytest.mark.parametrize(
    "text",
    [
        "1. Find the capital of Peru\n2. Find its mayor",
        "#E1 is nice",
        "print(1)",
        "1. __import__('os').system('x'); 2",
    ],
)
def test_other_text_is_no_printed_plan(text):
    with pytest.raises(PlanError, match="text, but not JSON"):
        read_plan(text)


def test_arguments_are_literals_and_never_evaluated():
    assert shown("1. f(__import__('os').getcwd())\n2. f(1, **{'a': 1})\n3. f($1)") == [
        ("1", "f", {"args": ["__import__('os').getcwd()"]}, ()),
        ("2", "f", {"args": ["1, **{'a': 1}"]}, ()),
        ("3", "f", {"args": ["$1"]}, ("1",)),
    ]


def test_counter_of_a_step_is_its_id():
    steps = [
        {"idx": 2, "tool": "search", "args": {"q": "Oslo"}, "dependencies": []},
        {"idx": 3, "tool": "math", "args": {"x": "$2"}, "dependencies": [2]},
    ]
    assert [task.id for task in read_plan(steps)[0]] == ["2", "3"]
    assert [
        t.id for t in read_plan([{"step": 4, "action": "look"}, {"step": 5, "task": "x"}])[0]
    ] == [
        "4",
        "5",
    ]
    assert read_plan([{"step": "look"}])[0][0].description == "look"


@pytest.mark.parametrize("needs", [[0], ["0"], ["$0"]])
def test_steps_without_ids_are_counted_from_zero_where_one_depends_on_zero(needs):
    steps = [{"task": "a", "depends_on": []}, {"task": "b", "depends_on": needs}]
    plan = ParallelPlanner().optimize(steps)
    assert [(task.id, task.depends_on) for task in plan.tasks] == [("0", ()), ("1", ("0",))]


def test_argument_may_show_that_steps_are_counted_from_zero():
    plan = ParallelPlanner().optimize(
        [{"tool": "search", "args": {"q": "x"}}, {"tool": "math", "args": {"x": "$0"}}]
    )
    assert plan.why("0", "1").reason == "refers to it as $0"


@pytest.mark.parametrize("written", ["$1", "${1}", "#1", "1", 1])
def test_dependencies_may_be_written_like_references(written):
    steps = [{"task": "a"}, {"task": "b", "depends_on": [written]}]
    assert read_plan(steps)[0][1].depends_on == ("1",)


def test_report_says_what_was_taken_for_text():
    plan = ParallelPlanner(ParallelConfig(strategies=("explicit",))).optimize(
        [{"tool": "a", "args": {"q": "x"}}, {"tool": "b", "args": {"q": "books under $1"}}]
    )
    assert plan.notes == (
        "explicit: '$1' in task '2' is taken for text; `{{id}}` is the result of a task",
    )


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text", ["1. f(" * 30_000, "Plan: " * 30_000, "#E1 = f[" * 20_000, "Thought: a\n" * 15_000]
)
def test_long_texts_take_no_long_time(text):
    with pytest.raises(PlanError):
        read_plan(text)
