"""Plans of all forms are read, checked and ordered; what nobody knows stays in order."""

import json
from types import SimpleNamespace

import networkx as nx
import pytest
from pydantic import BaseModel, ValidationError

from langgraph_parallel import ParallelConfig, ParallelPlan, ParallelPlanner, PlanError, Task
from langgraph_parallel.plan.dependencies import Decision, Findings
from langgraph_parallel.plan.reading import read_plan

EXPLICIT = ParallelConfig(strategies=("explicit",))


def optimize(plan, **options):
    return ParallelPlanner(EXPLICIT.model_copy(update=options)).optimize(plan)


def edges(plan):
    return sorted(plan.graph.edges)


class Guess:
    """An analyzer that knows which pairs are independent."""

    def __init__(self, *pairs, ordered=()):
        self.pairs, self.ordered, self.asked = pairs, ordered, 0

    def analyze(self, tasks, *, goal=""):
        self.asked += 1
        self.goal = goal
        return Findings(
            decisions=tuple(
                Decision(
                    earlier=a,
                    later=b,
                    ordered=o,
                    source="heuristic",
                    reason="guess",
                    confidence=0.9,
                )
                for pairs, o in ((self.pairs, False), (self.ordered, True))
                for a, b in pairs
            ),
            notes=("a note",),
            cost_tokens=7,
        )


def planner(guess, **options):
    config = ParallelConfig(strategies=("explicit", "guess"), **options)
    return ParallelPlanner(config, analyzers={"guess": guess})


# -- reading ---------------------------------------------------------------------------------------


class Step(BaseModel):
    title: str


class Steps(BaseModel):
    goal: str
    steps: list[Step]


@pytest.mark.parametrize(
    "plan",
    [
        ["x", "y"],
        [{"description": "x"}, {"task": "y"}],
        [Task(id="1", description="x"), "y"],
        '["x", "y"]',
        b'{"tasks": [{"step": "x"}, {"id": 2, "content": "y"}]}',
        'Here is the plan:\n```json\n{"steps": ["x", "y"]}\n```\nGood luck!',
        Steps(goal="g", steps=[Step(title="x"), Step(title="y")]),
        (step for step in ("x", "y")),
    ],
)
def test_forms_of_a_plan(plan):
    tasks, _ = read_plan(plan)
    assert [(task.id, task.description) for task in tasks] == [("1", "x"), ("2", "y")]


def test_tool_calls_of_different_planners_mean_the_same():
    calls = [
        {"id": "1", "tool": "search", "args": {"q": "x"}, "depends_on": []},
        {"label": "$1", "name": "search", "arguments": '{"q": "x"}', "dependencies": []},
        {"task_id": 1, "action": "search", "inputs": {"q": "x"}, "deps": ()},
    ]
    tasks = [read_plan([call])[0][0] for call in calls]
    assert tasks[0] == tasks[1] == tasks[2]
    assert tasks[0].tool == "search"


def test_a_name_is_a_tool_only_beside_inputs():
    plan = [{"name": "Look around"}, {"name": "x", "description": "y"}, {"action": "t", "args": {}}]
    tasks, _ = read_plan(plan)
    assert [(t.tool, t.description) for t in tasks] == [
        (None, "Look around"),
        (None, "y"),
        ("t", ""),
    ]
    assert tasks[1].metadata == {"name": "x"}


def test_goal_and_other_fields_are_kept():
    tasks, goal = read_plan({"goal": "win", "steps": [{"title": "x", "need_search": True}]})
    assert goal == "win"
    assert tasks[0].metadata == {"need_search": True}


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (5, "A plan is a list of strings, dicts or Tasks.*not int"),
        ({"stepz": []}, "under 'steps' or 'tasks'"),
        ("go shopping", "text, but not JSON.*list of strings"),
        ([{"id": "a"}, 3], "Step 2 of the plan is 3"),
        ([""], "Step 1 of the plan is ''"),
        ([{"id": "a", "timeout_s": -1}], "Step 1 of the plan has a wrong 'timeout_s'"),
        ([{"tool": "t", "arguments": "{"}], "Step 1 of the plan has arguments that are not JSON"),
        (["x"] * 20_001, "more than 20000 tasks"),
        ("[" * 100_000, "not JSON"),
        ("```" + "\n" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_plan(plan, message):
    with pytest.raises(PlanError, match=message):
        read_plan(plan)


def test_tasks_are_checked_when_they_are_made():
    with pytest.raises(ValidationError, match="extra"):
        Task(id="a", dependson=["b"])
    assert Task(id=3, depends_on=2).depends_on == ("2",)
    assert Task(id="a").depends_on is None


# -- checking --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ([{"id": "a"}, {"id": "a"}], "Tasks 1 and 2 of the plan have the same id 'a'"),
        ([{"id": "a", "depends_on": ["b"]}], "Task 'a' depends on 'b', but the plan has no such"),
        ([{"id": "a", "depends_on": ["a"]}], "Task 'a' depends on itself"),
        (["use #E1"], "Task '1' refers to its own result as '#E1'"),
        (["use #E2", "x"], "Task '1' refers to '#E2', but task '2' comes later"),
        (
            [
                {"id": "x"},
                {"id": "a", "depends_on": ["c"]},
                {"id": "b", "depends_on": ["a"]},
                {"id": "c", "depends_on": ["b"]},
            ],
            "form a cycle: 'a' -> 'c' -> 'b' -> 'a'",
        ),
    ],
)
def test_contradictions_are_named(plan, message):
    with pytest.raises(PlanError, match=message):
        optimize(plan)


def test_declared_dependencies_may_point_forward():
    plan = optimize(
        [
            {"id": "sum", "depends_on": ["x", "y"], "description": "add {{x}} and {{y}}"},
            {"id": "x", "depends_on": []},
            {"id": "y", "depends_on": []},
        ]
    )
    assert [task.id for task in plan.tasks] == ["x", "y", "sum"]
    assert edges(plan) == [("x", "sum"), ("y", "sum")]


# -- ordering --------------------------------------------------------------------------------------


def test_a_plan_that_says_nothing_is_the_chain():
    plan = optimize(["a", "b", "c"])
    assert edges(plan) == [("1", "2"), ("2", "3")]
    assert plan.speedup == 1
    assert plan.why("1", "3").source == "chain"


def test_declared_dependencies_are_all_there_are():
    plan = optimize(
        [
            {"id": "a", "depends_on": []},
            {"id": "b", "depends_on": []},
            {"id": "c", "depends_on": ["a", "b"]},
            {"id": "d", "depends_on": ["c", "a"]},
        ]
    )
    assert edges(plan) == [("a", "c"), ("b", "c"), ("c", "d")]
    assert [[task.id for task in batch] for batch in plan.batches] == [["a", "b"], ["c"], ["d"]]
    assert [task.id for task in plan.critical_path] == ["a", "c", "d"]
    assert plan.why("b", "a").reason == "the later one says what it depends on"
    assert plan.why(0, 3).source == "declared"
    assert plan.why("b", "d").ordered
    assert "by way of 'b' -> 'c' -> 'd'" in plan.why("b", "d").reason


def test_references_order_and_are_complete_only_when_said_so():
    steps = [{"tool": "s"}, {"tool": "s"}, {"tool": "m", "args": {"x": "$1"}}]
    assert edges(optimize(steps)) == [("1", "2"), ("2", "3")]
    plan = optimize(steps, references="complete")
    assert edges(plan) == [("1", "3")]
    assert plan.why("1", "3").reason == "refers to it as $1"


def test_references_count_even_beside_declared_dependencies():
    plan = optimize([{"id": "a"}, {"id": "b", "depends_on": [], "description": "{{a}}"}])
    assert edges(plan) == [("a", "b")]


def test_the_first_decision_on_a_pair_stands_and_open_pairs_stay_in_order():
    guess = Guess(("1", "2"), ("2", "3"))
    plan = planner(guess).optimize({"goal": "g", "steps": ["a", "b", "after {{2}}"]})
    assert edges(plan) == [("1", "3"), ("2", "3")]
    assert plan.why("2", "3").source == "reference"
    assert plan.why("1", "3").source == "chain"
    assert not plan.why("1", "2").ordered
    assert (guess.goal, plan.goal, plan.notes, plan.cost_tokens) == ("g", "g", ("a note",), 7)


def test_analyzers_are_not_asked_when_nothing_is_open():
    guess = Guess()
    planner(guess).optimize([{"id": "a", "depends_on": []}, {"id": "b", "depends_on": ["a"]}])
    assert guess.asked == 0


def test_a_decision_against_the_order_is_refused():
    with pytest.raises(PlanError, match=r"decided on '2' before '1'"):
        planner(Guess(("2", "1"))).optimize(["a", "b"])


def test_unknown_strategies_are_named_with_a_remedy():
    with pytest.raises(PlanError, match=r"names 'llm'.*LLMDependencies\(model\)"):
        ParallelPlanner(ParallelConfig(strategies=("explicit", "llm")))
    with pytest.raises(PlanError, match="names 'tarot'"):
        ParallelPlanner(ParallelConfig(strategies=("tarot",)))


def test_plans_of_other_frameworks_are_recognized(monkeypatch):
    deerflow = SimpleNamespace(to_tasks=lambda plan: [Task(id="x", depends_on=())])
    monkeypatch.setattr("langgraph_parallel.adapters.readers.import_module", lambda name: deerflow)
    plan = optimize(SimpleNamespace(steps=[], has_enough_context=False, title="t"))
    assert (plan.tasks[0].id, plan.goal) == ("x", "t")
    crew = type("MyCrew", (type("Crew", (), {"__module__": "crewai.crew"}),), {})()
    assert optimize(crew).tasks[0].id == "x"


# -- the plan --------------------------------------------------------------------------------------


@pytest.fixture
def diamond():
    return optimize(
        [
            {"id": "a", "depends_on": [], "duration_s": 1},
            {"id": 'b"]', "depends_on": ["a"], "duration_s": 5, "description": "x" * 200},
            {"id": "c", "depends_on": ["a"], "duration_s": 2},
            {"id": "d", "depends_on": ['b"]', "c"], "duration_s": 1},
        ]
    )


def test_critical_path_and_prediction(diamond):
    assert [task.id for task in diamond.critical_path] == ["a", 'b"]', "d"]
    assert (diamond.work_s, diamond.span_s) == (9, 7)
    assert diamond.speedup == pytest.approx(9 / 7)
    assert nx.is_directed_acyclic_graph(diamond.graph)


def test_report_says_what_waits_for_what_and_why(diamond):
    text = str(diamond)
    assert text.startswith("Plan: 4 tasks -> 3 batches, predicted speed-up 1.29x")
    assert "after 'a': declared in `depends_on` (declared, 100%)" in text
    assert "critical path: 'a'" in text
    assert "x" * 100 not in text


def test_mermaid_escapes_and_dots_guesses(diamond):
    drawn = diamond.draw_mermaid()
    assert "n0 --> n1" in drawn
    assert 'b"]' not in drawn
    assert "n0 -.-> n1" in optimize(["a", "b"]).draw_mermaid()


def test_json_has_tasks_edges_and_batches(diamond):
    content = json.loads(diamond.to_json())
    assert content["batches"] == [["a"], ['b"]', "c"], ["d"]]
    assert content["edges"][0]["reason"] == "declared in `depends_on`"
    assert content["tasks"][0]["id"] == "a"


def test_why_refuses_what_is_no_pair(diamond):
    with pytest.raises(PlanError, match="is one task"):
        diamond.why("a", 0)
    with pytest.raises(PlanError, match="has no task 'zz'"):
        diamond.why("zz", "a")


def test_empty_plan():
    plan = optimize([])
    assert (plan.batches, plan.critical_path, plan.speedup) == ((), (), 1.0)
    assert isinstance(plan, ParallelPlan)
    assert optimize(plan) is plan


async def test_aoptimize_gives_the_same(diamond):
    again = await ParallelPlanner(EXPLICIT).aoptimize([*diamond.tasks])
    assert again.to_json() == diamond.to_json()
