# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   ruff: noqa:D100,N999,E402
# ---

# %% [markdown]
# # A CrewAI crew, several tasks at a time
#
# A sequential [CrewAI](https://docs.crewai.com) crew carries out one task after the other.
# `crewai.parallelize(crew)` runs those together that get nothing from one another. Outputs,
# prompts, callbacks and logs stay those of the sequential crew.
#
# CrewAI is an extra: `pip install 'langgraph-accel[crewai,emulate]'`, best into an environment of
# its own. No GPU, no key and no network: an *embedded engine* answers like an OpenAI server, with
# the timing of an 8-billion-parameter model on one GPU.

# %%
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

for name in ("CREWAI_DISABLE_TELEMETRY", "CREWAI_DISABLE_TRACKING", "OTEL_SDK_DISABLED"):
    os.environ[name] = "true"
os.environ |= {"CREWAI_TESTING": "true", "CREWAI_STORAGE_DIR": tempfile.mkdtemp()}
warnings.simplefilter("ignore")
logging.disable(logging.WARNING)

# %%
from crewai import LLM, Agent, Crew, Task, TaskOutput

from langgraph_parallel.adapters import crewai
from langgraph_rsm.emulation import serve

Check = Callable[[TaskOutput], tuple[bool, Any]]
server = serve("gpu-8b")
server.start()
llm = LLM(
    model="hosted_vllm/gpu-8b", base_url=server.base_url, api_key="none", max_completion_tokens=80
)

# %% [markdown]
# ## Five tasks
#
# Three look something up, one plans a route from the first two, one writes the guide. `context`
# says what a task gets: `[]` is nothing. Without a `context` a task gets the outputs of *all* tasks
# before it, and has to wait for them.


# %%
def build_crew(check: Check | None = None) -> Crew:
    """Return a crew of five tasks, three of one agent.

    Args:
        check: A guardrail for the second task.
    """
    guide = Agent(role="Guide", goal="Know the city", backstory="Born here", llm=llm)
    writer = Agent(role="Writer", goal="Write clearly", backstory="Once a teacher", llm=llm)
    sights = Task(
        description="List sights of Lisbon.", expected_output="A list", agent=guide, context=[]
    )
    weather = Task(
        description="Describe the weather.",
        expected_output="A text",
        agent=guide,
        context=[],
        guardrail=check,
    )
    food = Task(description="List dishes.", expected_output="A list", agent=guide, context=[])
    route = Task(
        description="Plan a walk.",
        expected_output="A route",
        agent=writer,
        context=[sights, weather],
    )
    text = Task(
        description="Write the page.", expected_output="A page", agent=writer, context=[food, route]
    )
    return Crew(agents=[guide, writer], tasks=[sights, weather, food, route, text])


crew = build_crew()
print(crewai.explain(crew))

# %% [markdown]
# ## How much faster is it?
#
# CrewAI gives an agent one executor that refuses a second task while it is busy; here each task has
# one of its own, so the three tasks of the one guide run together.

# %%
pool = ThreadPoolExecutor(1)


def run(call: Callable[..., Any], *args: Any) -> Any:
    """Call CrewAI in a thread: `kickoff` refuses to run beside the event loop of a notebook."""
    return pool.submit(call, *args).result()


run(Crew(agents=crew.agents[:1], tasks=crew.tasks[:1]).kickoff)  # the first call loads the client


def timed(crew: Crew) -> tuple[float, list[str]]:
    """Return the seconds that a crew takes, and the outputs of its tasks."""
    start = time.perf_counter()
    result = run(crew.kickoff)
    return time.perf_counter() - start, [output.raw for output in result.tasks_output]


slow_s, slow = timed(build_crew())
fast_s, fast = timed(crewai.parallelize(build_crew()))
print(f"sequential {slow_s:.2f} s, parallel {fast_s:.2f} s: {slow_s / fast_s:.2f}x")
print("same outputs:", fast == slow)

# %% [markdown]
# `with crewai.parallel_crews():` does the same to every crew that runs inside, as in Flows.
#
# ## What keeps its place, and why
#
# A tool may do anything, so a task with a tool waits for all tasks before it until you say that the
# tool only reads: `parallelize(crew, read_only_tools={"search"})`. A missing `context`:

# %%
other = build_crew()
other.tasks[3] = Task(description="Plan a walk.", expected_output="A route", agent=other.agents[1])
other.tasks[4].context = [other.tasks[2], other.tasks[3]]
print(crewai.explain(other).why("3", "4").reason)

# %% [markdown]
# ## A task that fails, and going on
#
# Callbacks are called in the order of the tasks, whichever ended first. When the second task fails,
# its error is raised, and CrewAI's log has what a sequential run would have left: the first task.
# `replay` starts again from a task that is in the log.

# %%
seen: list[str] = []
calls = 0


def check(output: TaskOutput) -> tuple[bool, Any]:
    """Ask a weather service that is down at first."""
    global calls
    calls += 1
    if calls == 1:
        msg = "the weather service is down"
        raise ConnectionError(msg)
    return True, output


failing = build_crew(check)
failing.task_callback = lambda output: seen.append(output.description)
fast_crew = crewai.parallelize(failing)
try:
    run(fast_crew.kickoff)
except ConnectionError as error:
    print("failed:", error)
print("called back:", seen)
seen.clear()
result = run(fast_crew.replay, str(failing.tasks[0].id))
print("called back:", seen)
print("same outputs:", [output.raw for output in result.tasks_output] == slow)

# %%
server.stop()
