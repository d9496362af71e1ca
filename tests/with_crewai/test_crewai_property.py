"""Any sequential crew: outputs, prompts, callbacks, log and errors are those of a run in order."""

import asyncio

from crewai import Crew
from crewai.tasks.conditional_task import ConditionalTask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import agent_of, scripted, task_of

from langgraph_parallel import ParallelConfig
from langgraph_parallel.adapters import crewai

KINDS = st.sampled_from(["plain", "plain", "plain", "guarded", "met", "unmet", "refused"])
"""Most tasks are plain; of the others a guardrail asks once more, a condition holds or not, or a
guardrail never takes the answer."""


@st.composite
def crews(draw):
    """For each task: its context (None: not given), agent, whether it calls back, and its kind."""
    tasks = []
    for j in range(draw(st.integers(1, 5))):
        given = draw(st.integers(0, 4)) > 0
        context = sorted(draw(st.sets(st.integers(0, j - 1)))) if j else []
        agent, is_told = draw(st.integers(0, 2)), draw(st.booleans())
        kind = draw(KINDS) if j else "plain"
        tasks.append((context if given else None, agent, is_told, kind))
    failing = draw(st.sets(st.integers(0, len(tasks) - 1), max_size=2))
    return tasks, failing, draw(st.none() | st.integers(1, 3)), draw(st.booleans())


def make_task(name, kind, agent, fields):
    if kind in ("met", "unmet"):
        text = {"description": f"do {name} .", "expected_output": "text"}
        return ConditionalTask(
            name=name, condition=lambda output: kind == "met", agent=agent, **text, **fields
        )
    tries = []

    def guard(output):
        tries.append(output.raw)
        return (kind == "guarded" and len(tries) > 1, output.raw if len(tries) > 1 else "again")

    if kind != "plain":
        fields |= {"guardrail": guard, "guardrail_max_retries": 1}
    return task_of(name, agent, **fields)


def run(tasks, failing, max_concurrency, is_async, parallel):
    llm, told = scripted(failing={f"t{j}" for j in failing}), []
    agents = [agent_of(llm, f"agent {i}") for i in range(3)]
    made = []
    for j, (context, agent, is_told, kind) in enumerate(tasks):
        fields = {} if context is None else {"context": [made[i] for i in context]}
        if is_told:
            fields["callback"] = lambda output: told.append(output.name)
        made.append(make_task(f"t{j}", kind, agents[agent], fields))
    crew = Crew(agents=agents, tasks=made)
    if parallel:
        crew = crewai.parallelize(crew, config=ParallelConfig(max_concurrency=max_concurrency))
    crew._task_output_handler.reset()
    error, outputs = None, []
    try:
        out = asyncio.run(crew.akickoff()) if is_async else crew.kickoff()
        outputs = [(o.name, o.raw, o.agent, o.messages) for o in out.tasks_output]
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    stored = [row["task_id"] for row in crew._task_output_handler.load() or ()]
    state = [(task.output and task.output.raw, task.start_time is None) for task in made]
    usage = None if error else crew.token_usage
    ended = sum(str(t.id) in stored for t in made)
    asked = {name: m for name, m in llm.transcripts.items() if not error or int(name[1:]) <= ended}
    return error, outputs, told, [str(t.id) in stored for t in made], state, usage, asked


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(crews())
def test_parallel_crew_does_what_the_sequential_one_does(crew):
    assert run(*crew, parallel=True) == run(*crew, parallel=False)
