"""Parallel crews give what sequential crews give, in every way to start them."""

import asyncio
import threading

import pytest
from crewai import Crew, Process, TaskOutput
from crewai.events import TaskCompletedEvent, TaskFailedEvent, crewai_event_bus
from crewai.flow.flow import Flow, listen, start
from crewai.tasks.conditional_task import ConditionalTask
from crewai.tools import tool
from scripted import ScriptedLLM, agent_of, five, scripted, task_of

from langgraph_parallel import ParallelConfig
from langgraph_parallel.adapters import crewai
from langgraph_parallel.adapters.crewai.run import CrewRun


@tool("search")
def search(query: str) -> str:
    """Search the web."""
    return f"page on {query}"


START = ("t1", "t2", "t3")
KICKOFFS = {
    "kickoff": lambda crew: crew.kickoff(),
    "akickoff": lambda crew: asyncio.run(crew.akickoff()),
    "kickoff_async": lambda crew: asyncio.run(crew.kickoff_async()),
}
each_kickoff = pytest.mark.parametrize("kickoff", KICKOFFS.values(), ids=KICKOFFS)


def shape(output):
    return [(o.name, o.raw, o.agent, o.messages) for o in output.tasks_output], output.raw


@each_kickoff
@pytest.mark.parametrize("is_shared", [False, True], ids=["agents", "one agent"])
def test_outputs_and_transcripts_are_those_of_the_sequential_crew(kickoff, is_shared):
    one, many = scripted(), scripted(meeting=START)
    expected = kickoff(five(one, agents=[agent_of(one)] if is_shared else None))
    crew = five(many, agents=[agent_of(many)] if is_shared else None)
    agents = [task.agent for task in crew.tasks]
    found = kickoff(crewai.parallelize(crew))
    assert shape(found) == shape(expected)
    assert many.transcripts == one.transcripts
    assert found.token_usage == expected.token_usage
    assert all(task.agent is agent for task, agent in zip(crew.tasks, agents, strict=True))
    assert [task.output.raw for task in crew.tasks] == [o.raw for o in expected.tasks_output]


@each_kickoff
def test_context_block_covers_crews_made_inside(kickoff):
    llm = scripted(meeting=START)
    original = Crew._execute_tasks
    with crewai.parallel_crews(), crewai.parallel_crews(contexts="exact"):
        kickoff(five(llm))
    assert Crew._execute_tasks is original
    assert sorted(llm.order[:3]) == list(START)


def test_crew_of_a_flow_is_parallel():
    llm = scripted(meeting=START)

    class Report(Flow):
        @start()
        def research(self):
            return five(llm).kickoff().raw

        @listen(research)
        def publish(self, text):
            return f"<{text}>"

    with crewai.parallel_crews():
        assert Report().kickoff() == "<t5 done>"


def test_copies_for_several_inputs_are_parallel():
    one, many = scripted(), scripted()
    expected = five(one).kickoff_for_each([{"a": 1}, {"a": 2}])
    crew = crewai.parallelize(five(many))
    copied = crew.copy()
    assert "_execute_tasks" in vars(copied)
    assert [shape(o) for o in crew.kickoff_for_each([{"a": 1}, {"a": 2}])] == [
        shape(o) for o in expected
    ]


def test_tasks_are_seen_to_end_in_their_order():
    """t1 answers only after t2 and t3 have: still its callback is the first."""
    seen, open_calls, answered = [], {"t2 done", "t3 done"}, threading.Event()

    class Late(ScriptedLLM):
        def call(self, messages, *args, **kwargs):
            answer = super().call(messages, *args, **kwargs)
            if answer == "t1 done":
                assert answered.wait(5)
            open_calls.discard(answer)
            if not open_calls:
                answered.set()
            return answer

    llm = Late(model="late")
    crew = five(llm, task_callback=lambda output: seen.append(output.name))
    crew.tasks[1].output_file = "t2.txt"
    out = crewai.parallelize(crew).kickoff()
    assert seen == ["t1", "t2", "t3", "t4", "t5"]
    assert [o.name for o in out.tasks_output] == seen


@each_kickoff
def test_callbacks_of_steps_come_in_the_order_of_tasks(kickoff):
    def run(parallel):
        llm, seen = scripted(meeting=START if parallel else ()), []
        crew = five(llm, step_callback=lambda step: seen.append(repr(step)))
        for task in crew.tasks:
            task.tools = [search]
        trusting = ParallelConfig(unknown_calls="independent")
        kickoff(crewai.parallelize(crew, config=trusting) if parallel else crew)
        return seen

    assert run(parallel=True) == run(parallel=False) != []


@each_kickoff
def test_failure_leaves_what_a_sequential_run_leaves(kickoff):
    def run(parallel):
        llm, seen = scripted(failing={"t2"}, meeting=START if parallel else ()), []
        crew = five(llm, task_callback=lambda output: seen.append(output.name))
        crew = crewai.parallelize(crew) if parallel else crew
        with pytest.raises(ValueError, match="t2 broke"):
            kickoff(crew)
        stored = [row["task_id"] for row in crew._task_output_handler.load()]
        names = {str(task.id): task.name for task in crew.tasks}
        state = [(t.output and t.output.raw, t.start_time is None) for t in crew.tasks]
        return seen, [names[s] for s in stored if s in names], state

    found = run(parallel=True)
    assert found == run(parallel=False)
    assert found[0] == ["t1"]


@each_kickoff
def test_error_of_the_first_task_in_order_is_raised(kickoff):
    llm = scripted(failing={"t1", "t3"}, meeting=START)
    with pytest.raises(ValueError, match="t1 broke"):
        kickoff(crewai.parallelize(five(llm)))


@each_kickoff
def test_a_task_that_waits_for_its_turn_is_let_go_when_one_before_it_never_starts(kickoff):
    """t1 fails, so t2 never starts; t3, done by then, waits for the end of both."""
    llm, told = scripted(failing={"t1"}, meeting=("t1", "t3")), []
    agents = [agent_of(llm, f"agent {i}") for i in range(3)]
    first = task_of("t1", agents[0], context=[])
    second = task_of("t2", agents[1], context=[first])
    third = task_of("t3", agents[2], context=[], callback=lambda output: told.append(output.name))
    crew = crewai.parallelize(Crew(agents=agents, tasks=[first, second, third]))
    with pytest.raises(ValueError, match="t1 broke"):
        kickoff(crew)
    assert told == []
    assert "t2" not in llm.order


def test_giving_up_a_task_does_not_disturb_those_before_the_failed_one(monkeypatch):
    """t2 and t4 wait for t1; t3 fails, so t4 is given up, and t2 is not."""
    told, is_at = [], {name: threading.Event() for name in ("t2 waits", "t4 waits", "t4 ended")}
    wait, end = CrewRun._await, CrewRun._end

    async def note_wait(self, j, turn):
        is_at[f"t{j + 1} waits"].set()
        await wait(self, j, turn)

    def note_end(self, j):
        end(self, j)
        if j == 3:
            is_at["t4 ended"].set()

    monkeypatch.setattr(CrewRun, "_await", note_wait)
    monkeypatch.setattr(CrewRun, "_end", note_end)

    class Late(ScriptedLLM):
        def call(self, messages, *args, **kwargs):
            name = self._take(messages)
            awaited = {"t1": ["t4 ended"], "t3": ["t2 waits", "t4 waits"]}.get(name, ())
            assert all(is_at[what].wait(5) for what in awaited)
            return self._answer(name, messages)

    llm = Late(model="late")
    llm._failing = {"t3"}
    agent = agent_of(llm)
    tasks = [task_of(f"t{i}", agent, context=[]) for i in range(1, 5)]
    for task in (tasks[1], tasks[3]):
        task.callback = lambda output: told.append(output.name)
    with pytest.raises(ValueError, match="t3 broke"):
        asyncio.run(crewai.parallelize(Crew(agents=[agent], tasks=tasks)).akickoff())
    assert told == ["t2"]
    assert tasks[0].output.raw == "t1 done"


def test_tasks_after_a_failed_one_report_no_failure():
    failed, completed = [], []
    with crewai_event_bus.scoped_handlers():
        crewai_event_bus.on(TaskFailedEvent)(lambda _source, event: failed.append(event.task.name))
        crewai_event_bus.on(TaskCompletedEvent)(
            lambda _source, event: completed.append(event.task.name)
        )
        llm = scripted(failing={"t2"}, meeting=START)
        crew = five(llm, task_callback=lambda output: None)
        with pytest.raises(ValueError, match="t2 broke"):
            crewai.parallelize(crew).kickoff()
        crewai_event_bus.flush()
    assert failed == ["t2"]
    assert completed == ["t1"]


def test_replay_goes_on_after_a_failure():
    llm = scripted(failing={"t4"})
    crew = crewai.parallelize(five(llm))
    with pytest.raises(ValueError, match="t4 broke"):
        crew.kickoff()
    assert sorted(llm.order) == ["t1", "t2", "t3", "t4"]
    llm._failing = set()
    llm._calls.clear()
    out = crew.replay(str(crew.tasks[2].id))
    assert [o.raw for o in out.tasks_output] == [f"t{i} done" for i in range(1, 6)]
    assert sorted(llm.order) == ["t3", "t4", "t5"]


def test_max_concurrency_does_not_stop_tasks_that_wait_for_their_turn():
    llm, seen = scripted(), []
    crew = five(llm, task_callback=lambda output: seen.append(output.name))
    for config in (ParallelConfig(max_concurrency=1), ParallelConfig(max_concurrency=2)):
        crewai.parallelize(crew, config=config).kickoff()
        asyncio.run(crewai.parallelize(crew, config=config).akickoff())
    assert seen == ["t1", "t2", "t3", "t4", "t5"] * 4


@each_kickoff
def test_task_that_started_first_makes_room_for_the_one_before_it(kickoff):
    """t2 has more after it and starts first; it may call back only once t1 has ended."""
    llm, told = scripted(), []
    agent = agent_of(llm)
    t1, t2 = (task_of(name, agent, context=[]) for name in START[:2])
    t3 = task_of("t3", agent, context=[t2])
    crew = Crew(agents=[agent], tasks=[t1, t2, t3], task_callback=lambda o: told.append(o.name))
    kickoff(crewai.parallelize(crew, config=ParallelConfig(max_concurrency=1)))
    assert told == list(START)


@each_kickoff
@pytest.mark.parametrize("is_met", [True, False])
def test_condition_sees_the_output_before_it(kickoff, is_met):
    def run(parallel):
        llm, given = scripted(meeting=START[:2] if parallel else ()), []

        def condition(output: TaskOutput):
            given.append(output.raw)
            return is_met

        agent = agent_of(llm)
        t1, t2 = (task_of(name, agent, context=[]) for name in START[:2])
        t3 = ConditionalTask(
            condition=condition, name="t3", description="do t3 .", expected_output="x", agent=agent
        )
        t4 = task_of("t4", agent, context=[t1, t3] if is_met else [t1])
        crew = Crew(agents=[agent], tasks=[t1, t2, t3, t4])
        out = kickoff(crewai.parallelize(crew) if parallel else crew)
        return shape(out), given, llm.transcripts

    found = run(parallel=True)
    assert found == run(parallel=False)
    assert found[1] == ["t2 done"]


def test_people_are_asked_in_order():
    llm = scripted()
    crew = five(llm)
    crew.tasks[1].human_input = crew.tasks[2].human_input = True
    plan = crewai.explain(crew)
    assert "a person is asked" in plan.why("1", "2").reason
    assert "a person is asked" in plan.why("2", "3").reason
    assert not plan.why("3", "4").ordered


@each_kickoff
def test_async_tasks_of_one_agent_run(kickoff):
    """CrewAI itself refuses the second one: the agent's executor is busy."""
    llm = scripted(meeting=START[:2])
    agent = agent_of(llm)
    t1, t2 = (task_of(name, agent, async_execution=True) for name in START[:2])
    t3 = task_of("t3", agent)
    out = kickoff(crewai.parallelize(Crew(agents=[agent], tasks=[t1, t2, t3])))
    assert [o.raw for o in out.tasks_output] == ["t1 done", "t2 done", "t3 done"]
    assert "t1 done\n\n----------\n\nt2 done" in str(llm.transcripts["t3"][-1]["content"])
    assert "done" not in str(llm.transcripts["t2"])


def test_log_file_has_the_order_of_the_sequential_run(tmp_path):
    def run(parallel):
        path = tmp_path / f"log_{parallel}.json"
        crew = five(scripted(meeting=START if parallel else ()), output_log_file=str(path))
        (crewai.parallelize(crew) if parallel else crew).kickoff()
        import json

        return [(row["task_name"], row["status"]) for row in json.loads(path.read_text())]

    assert run(parallel=True) == run(parallel=False)


def test_hierarchical_crew_runs_as_before():
    llm = scripted()
    agent = agent_of(llm)
    crew = Crew(
        agents=[agent],
        tasks=[task_of("t1", agent, context=[]), task_of("t2", agent, context=[])],
        process=Process.hierarchical,
        manager_llm=llm,
    )
    assert "the manager decides" in crewai.explain(crew).notes[0]
    assert crewai.parallelize(crew).kickoff().raw == "t2 done"
