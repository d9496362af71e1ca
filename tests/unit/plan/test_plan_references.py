"""References are found in the plan's own text, once, and reach results and nothing else."""

from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from langgraph_parallel import PlanError, Task
from langgraph_parallel.plan.references import fill_in, parse_references

INDEX = {"1": 0, "2": 1, "find.price": 2}


def fill(task, **values):
    references = parse_references(task, INDEX)
    return fill_in(task, references, values.__getitem__)


def described(text, index=INDEX):
    return [(r.task_id, r.path) for r in parse_references(Task(id="t", description=text), index)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("use {{1}}", [("1", ())]),
        ("use {{ 2.name.0 }} and {{1}}", [("2", ("name", "0")), ("1", ())]),
        ("use {{find.price.low}}", [("find.price", ("low",))]),
        ("add ${1} to ${2}", [("1", ()), ("2", ())]),
        ("as in #E1, #E2.", [("1", ()), ("2", ())]),
        ("with $var1.x.y$ and $var_2$", [("1", ("x", "y")), ("2", ())]),
        ("it costs $1, or $2 million", []),
        ("#Else {1} $x$ { {1} }", []),
    ],
)
def test_references_in_a_description(text, found):
    assert described(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$1", ["1"]),
        ("$1 / $2", ["1", "2"]),
        ("f($1,$2)", ["1", "2"]),
        ("$1,000 or $1.50 or $1k", []),
    ],
)
def test_bare_dollars_count_in_the_inputs_of_tool_calls(text, found):
    task = Task(id="t", tool="math", inputs={"x": [text]})
    assert [r.task_id for r in parse_references(task, INDEX)] == found
    assert not parse_references(task.model_copy(update={"tool": None}), INDEX)


def test_numbers_mean_ids_first_and_positions_else():
    assert described("#E2 ${2} $var2$", {"a": 0, "b": 1}) == [("b", ())] * 3
    assert described("#E2 $var2$", {"E2": 0, "var2": 1}) == [("E2", ()), ("var2", ())]


def test_unknown_task_is_an_error_that_names_both_and_the_way_out():
    task = Task(id="t", tool="x", inputs={"q": "{{nope}}"})
    with pytest.raises(PlanError, match=r"Task 't' refers to '\{\{nope\}\}'.*'1', '2'.*styles"):
        parse_references(task, INDEX)


@pytest.mark.parametrize("text", ["{{nope}}", "issue #E9", "only ${9}", "with $var9$"])
def test_what_names_no_task_is_text_in_a_description(text):
    references = parse_references(Task(id="t", description=text), INDEX)
    assert not references
    assert len(references.plain) == 1


@pytest.mark.parametrize(
    "text", ["hotels under $2", "$1 pizzas", "books for $1 or less", "a budget of $2", "价格低于$1"]
)
def test_dollars_in_a_sentence_are_a_price(text):
    task = Task(id="t", tool="search", inputs={"q": text})
    assert not parse_references(task, INDEX)
    assert fill(task).inputs == {"q": text}


def test_dollars_in_a_sentence_are_a_result_that_the_task_depends_on():
    task = Task(id="t", tool="search", inputs={"q": "population of $1 in $2"}, depends_on=["1"])
    assert fill(task, **{"1": "Peru"}).inputs == {"q": "population of Peru in $2"}


@pytest.mark.parametrize("text", ["$9", "$1 + $9", "f($9)", "${9} x"])
def test_unknown_number_in_an_argument_is_an_error(text):
    with pytest.raises(PlanError, match=r"the plan has no such task"):
        parse_references(Task(id="t", tool="math", inputs={"x": text}), INDEX)


def test_ids_that_are_numbers_are_never_taken_for_positions():
    late = {"2": 0, "3": 1}
    task = Task(id="t", tool="math", inputs={"x": "$2 + $3"})
    assert [r.task_id for r in parse_references(task, late)] == ["2", "3"]
    with pytest.raises(PlanError, match="no such task"):
        parse_references(Task(id="t", tool="math", inputs={"x": "$1"}), late)
    zero = {"0": 0, "1": 1}
    assert described("${0} ${1}", zero) == [("0", ()), ("1", ())]
    assert described("${2}", {"step_1": 0, "step_2": 1}) == [("step_2", ())]
    assert described("${1}", {"a1": 0, "b1": 1}) == []


def test_left_out_styles_are_plain_text():
    task = Task(id="t", description="{{nope}} #E9 ${9}")
    assert not parse_references(task, INDEX, ("var",))


def test_whole_values_keep_their_type_and_parts_become_text():
    task = Task(id="t", inputs={"a": "{{1}}", "b": "n={{1.n}}", "c": [{"d": "{{2}}!"}], "e": 5})
    filled = fill(task, **{"1": {"n": 2}, "2": "two"})
    assert filled.inputs == {"a": {"n": 2}, "b": "n=2", "c": [{"d": "two!"}], "e": 5}


def test_results_are_data_and_never_expanded_again():
    task = Task(id="t", description="{{1}} then {{2}}", inputs={"x": "{{1}}"})
    filled = fill(task, **{"1": "{{2}} $2 #E2 ${2}", "2": "secret"})
    assert filled.description == "{{2}} $2 #E2 ${2} then secret"
    assert filled.inputs == {"x": "{{2}} $2 #E2 ${2}"}


class Price(BaseModel):
    low: int


@dataclass
class Pair:
    left: list


@pytest.mark.parametrize(
    ("path", "value", "got"),
    [
        ("low", Price(low=3), 3),
        ("left.1", Pair(left=[1, 2]), 2),
        ("a.b", '{"a": {"b": 7}}', 7),
        ("0", ["x"], "x"),
    ],
)
def test_fields_of_results(path, value, got):
    assert fill(Task(id="t", inputs={"x": f"{{{{1.{path}}}}}"}), **{"1": value}).inputs["x"] == got


@pytest.mark.parametrize("path", ["__class__", "model_fields", "append", "9", "copy"])
@pytest.mark.parametrize("value", [Price(low=1), Pair(left=[]), [1], "text", {"a": 1}])
def test_no_other_attribute_can_be_reached(path, value):
    with pytest.raises(PlanError, match="has no field"):
        fill(Task(id="t", description=f"{{{{1.{path}}}}}"), **{"1": value})


def test_deep_inputs_are_refused():
    deep = "{{1}}"
    for _ in range(60):
        deep = [deep]
    with pytest.raises(PlanError, match="nested more than 50 levels"):
        parse_references(Task(id="t", inputs={"x": deep}), INDEX)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text", ["{{" + " " * 200_000, "{{1" * 50_000, "$1" + "a" * 200_000, "$var1" + ".a" * 100_000]
)
def test_long_texts_take_no_long_time(text):
    task = Task(id="t", description=text, tool="x", inputs={"x": text})
    assert not parse_references(task, INDEX)
