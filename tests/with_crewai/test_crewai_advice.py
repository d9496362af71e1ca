"""What `explain` says of a crew that gains little: which change frees tasks, and by how much."""

import pytest
from crewai import Agent, Crew, Process, Task
from crewai.tools import tool

from langgraph_parallel.adapters import crewai
from langgraph_parallel.effects import ALL
from tests.with_crewai.scripted import ScriptedLLM

pytestmark = pytest.mark.filterwarnings("ignore")


@tool("search")
def search(query: str) -> str:
    """Search."""
    return query


def agent_with(**fields):
    return Agent(role="r", goal="g", backstory="b", llm=ScriptedLLM(model="m"), **fields)


def task_of(name, agent, **fields):
    return Task(description=f"do {name}", expected_output="x", agent=agent, **fields)


def crew_of(*contexts, agent=None, tools=(), **fields):
    """A crew whose tasks have the given contexts; None for none given."""
    agent = agent or agent_with()
    tasks = []
    for k, context in enumerate(contexts):
        given = {} if context is None else {"context": [tasks[i] for i in context]}
        tasks.append(task_of(f"t{k}", agent, tools=list(tools), **given))
    return Crew(agents=[agent], tasks=tasks, **fields)


def hints(crew, **settings):
    notes = crewai.explain(crew, **settings).notes
    return [note.removeprefix("hint: ") for note in notes if note.startswith("hint: ")]


def test_tasks_without_context_are_told_of_it():
    (hint,) = hints(crew_of(None, None, None))
    assert hint.startswith("context=[those that it needs] in task 2, 3 (without, it gets all")
    assert hint.endswith("up to 3.00x instead of 1.00x (tasks of the same length)")


def test_tools_that_only_read_free_their_tasks():
    crew = crew_of([], [], [], tools=[search])
    (hint,) = hints(crew)
    assert hint.startswith("read_only_tools={'search'}, if these only read: up to 3.00x")
    assert hints(crew, read_only_tools={"search"}) == []
    assert hints(crew, read_only_tools=ALL) == []


def test_two_causes_are_named_together_where_neither_gains_alone():
    (hint,) = hints(crew_of(None, None, tools=[search]))
    assert hint.startswith("context=")
    assert "; and read_only_tools={'search'}" in hint
    assert "up to 2.00x" in hint


def test_change_that_gains_in_part_stands_beside_the_one_that_gains_all():
    agent = agent_with()
    tasks = [task_of("a", agent, context=[]), task_of("b", agent, context=[])]
    tasks.append(task_of("c", agent))
    found = hints(Crew(agents=[agent], tasks=tasks))
    assert [hint.partition(" in task")[0] for hint in found] == ["context=[those that it needs]"]
    assert found[0].endswith("up to 3.00x instead of 1.50x (tasks of the same length)")


@pytest.mark.parametrize("name", ["allow_delegation"])
def test_settings_of_agents_are_named(name):
    (hint,) = hints(crew_of([], [], agent=agent_with(**{name: True})))
    assert hint.startswith(f"{name}=False in the agents")


def test_shape_that_keeps_the_order_is_named():
    crew = crew_of([], [])
    crew.process = Process.hierarchical
    (hint,) = hints(crew)
    assert hint.startswith("process=Process.sequential (in a hierarchical crew the manager")
    streaming = crew_of([], [])
    streaming.agents[0].llm.stream = True
    assert hints(streaming)[0].startswith("stream=False in the models (answers are streamed")


def test_crew_that_needs_its_order_is_told_so():
    assert hints(crew_of([], [0], [1])) == [
        "every task needs those before it; no setting frees one"
    ]
    assert hints(crew_of([])) == ["a crew of one task has nothing to run together"]


def test_crew_that_runs_together_gets_no_hint():
    assert hints(crew_of([], [], [0, 1])) == []


def test_asking_changes_nothing():
    crew = crew_of(None, None, tools=[search])
    hints(crew)
    assert len(crewai.explain(crew).batches) == 2
