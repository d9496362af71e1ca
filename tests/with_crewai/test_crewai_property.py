"""Any sequential crew: outputs, prompts, callbacks, log and errors are those of a run in order."""

import asyncio

from crewai import Crew
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import agent_of, scripted, task_of

from langgraph_parallel import ParallelConfig
from langgraph_parallel.adapters import crewai


@st.composite
def crews(draw):
    """For each task: its context (None: not given), its agent, and whether it calls back."""
    tasks = []
    for j in range(draw(st.integers(1, 5))):
        given = draw(st.integers(0, 4)) > 0
        context = sorted(draw(st.sets(st.integers(0, j - 1)))) if j else []
        agent, is_told = draw(st.integers(0, 2)), draw(st.booleans())
        tasks.append((context if given else None, agent, is_told))
    failing = draw(st.none() | st.integers(0, len(tasks) - 1))
    return tasks, failing, draw(st.none() | st.integers(1, 3)), draw(st.booleans())


def run(tasks, failing, max_concurrency, is_async, parallel):
    llm, told = scripted(failing=() if failing is None else {f"t{failing}"}), []
    agents = [agent_of(llm, f"agent {i}") for i in range(3)]
    made = []
    for j, (context, agent, is_told) in enumerate(tasks):
        fields = {} if context is None else {"context": [made[i] for i in context]}
        if is_told:
            fields["callback"] = lambda output: told.append(output.name)
        made.append(task_of(f"t{j}", agents[agent], **fields))
    crew = Crew(agents=agents, tasks=made)
    if parallel:
        crew = crewai.parallelize(crew, config=ParallelConfig(max_concurrency=max_concurrency))
    crew._task_output_handler.reset()
    error, outputs = None, []
    try:
        out = asyncio.run(crew.akickoff()) if is_async else crew.kickoff()
        outputs = [(o.name, o.raw, o.agent, o.messages) for o in out.tasks_output]
    except ValueError as raised:
        error = str(raised)
    stored = [row["task_id"] for row in crew._task_output_handler.load() or ()]
    state = [(task.output and task.output.raw, task.start_time is None) for task in made]
    usage = None if error else crew.token_usage
    last = failing if error else len(tasks)
    asked = {name: m for name, m in llm.transcripts.items() if int(name[1:]) <= last}
    return error, outputs, told, [str(t.id) in stored for t in made], state, usage, asked


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(crews())
def test_parallel_crew_does_what_the_sequential_one_does(crew):
    assert run(*crew, parallel=True) == run(*crew, parallel=False)
