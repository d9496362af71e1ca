"""A crew's models are scheduled in place, and CrewAI notices nothing."""

import asyncio

import pytest

from langgraph_rsm import ConfigError, Scheduler, SchedulerConfig, program
from langgraph_rsm.crewai import schedule_crew, schedule_llm
from langgraph_rsm.emulation import serve
from langgraph_rsm.telemetry import CallFinished, Timeline

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def server():
    with serve("gpu-8b", speed=100) as server:
        yield server


@pytest.fixture
def timeline():
    return Timeline()


@pytest.fixture
def records():
    return []


@pytest.fixture
def scheduler(timeline, records):
    config = SchedulerConfig(validate_steps=True)
    return Scheduler(config=config, hooks=[timeline, records.append])


def make_llm(server, kind="openai"):
    from crewai import LLM

    return LLM(
        model=f"{kind}/{server.model}", base_url=server.base_url, api_key="none", max_tokens=30
    )


def make_crew(server, kind="openai"):
    from crewai import Agent, Crew, Task

    llm = make_llm(server, kind)
    writer = Agent(role="writer", goal="write", backstory="writes", llm=llm)
    critic = Agent(role="critic", goal="judge", backstory="judges", llm=llm)
    first = Task(description="write", expected_output="text", agent=writer)
    second = Task(description="judge", expected_output="text", agent=critic, context=[first])
    return Crew(agents=[writer, critic], tasks=[first, second])


def served(server):
    counters = server.stats().counters
    return counters.finished_stop + counters.finished_length


@pytest.mark.parametrize("kind", ["openai", "hosted_vllm"])
@pytest.mark.parametrize("how", ["kickoff", "akickoff"])
def test_every_call_of_a_kickoff_is_scheduled(server, scheduler, timeline, records, how, kind):
    def run(crew):
        return crew.kickoff() if how == "kickoff" else asyncio.run(crew.akickoff())

    before = served(server)
    bare = run(make_crew(server, kind))
    between = served(server)
    crew = schedule_crew(make_crew(server, kind), scheduler=scheduler)
    out = run(crew)
    real = served(server) - between
    finished = [record for record in records if isinstance(record, CallFinished)]
    assert real == between - before == len(finished) >= 2
    assert out.raw == bare.raw
    assert out.token_usage.total_tokens == bare.token_usage.total_tokens > 0
    assert len({record.call.program_id for record in finished}) == 1
    assert {record.call.call_site for record in finished} == {"writer", "critic"}
    assert len({record.call.thread_id for record in finished}) == 2


def test_model_is_the_same_to_crewai(server, scheduler):
    plain, llm = make_llm(server), make_llm(server)
    window = plain.get_context_window_size()
    assert schedule_llm(llm, scheduler=scheduler, capacity=3) is llm
    assert schedule_llm(llm, scheduler=scheduler) is llm
    assert isinstance(llm, type(plain))
    assert type(llm).__name__ == type(plain).__name__
    assert llm.get_context_window_size() == window
    assert llm.supports_function_calling() == plain.supports_function_calling()
    assert llm.supports_stop_words() == plain.supports_stop_words()
    assert llm.model_dump(exclude={"client"}).keys() == plain.model_dump(exclude={"client"}).keys()
    with program("mine"):
        llm.call("hi")
    (engine,) = scheduler.snapshot().engines
    assert (engine.capacity, engine.in_flight) == (3, 0)


def test_program_ends_with_its_kickoff(server, scheduler):
    from crewai.events import crewai_event_bus

    schedule_crew(make_crew(server), scheduler=scheduler).kickoff()
    crewai_event_bus.flush()
    assert scheduler.snapshot().programs == ()


@pytest.mark.parametrize("schedule", [schedule_crew, schedule_llm])
def test_wrong_arguments_are_explained(schedule):
    with pytest.raises(ConfigError, match="needs a"):
        schedule(3)
