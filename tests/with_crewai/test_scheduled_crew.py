"""A crew's models are scheduled in place, and CrewAI notices nothing."""

import asyncio

import pytest
from crewai import Agent, BaseLLM, Crew, Process, Task
from crewai.agent.planning_config import PlanningConfig
from crewai.memory.unified_memory import Memory
from crewai.tasks.llm_guardrail import LLMGuardrail
from pydantic import PrivateAttr

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


class Echo(BaseLLM):
    """Answers anything; counts its calls."""

    _calls: list = PrivateAttr(default_factory=list)

    def call(self, messages, *args, **kwargs):
        self._calls.append(messages)
        return "done"

    def supports_function_calling(self):
        return False


def echoes(*names):
    return [Echo(model=name) for name in names]


def agent_with(llm, role="r", **fields):
    return Agent(role=role, goal="g", backstory="b", llm=llm, **fields)


def task_for(agent, **fields):
    return Task(description="do it", expected_output="x", agent=agent, **fields)


def is_scheduled(model):
    return getattr(type(model), "is_scheduled", False)


def test_agent_that_only_a_task_names_is_scheduled(scheduler, records):
    inside, outside = echoes("inside", "outside")
    agents = [agent_with(inside, "inside"), agent_with(outside, "outside")]
    crew = Crew(agents=agents[:1], tasks=[task_for(agent) for agent in agents])
    schedule_crew(crew, scheduler=scheduler).kickoff()
    finished = [record for record in records if isinstance(record, CallFinished)]
    assert len(finished) == len(inside._calls) + len(outside._calls) == 2


def test_models_are_found_wherever_they_hang(scheduler):
    names = ("agent", "tools", "manager", "boss", "plan", "chat", "guard", "reason", "memory")
    models = dict(zip(names, echoes(*names), strict=True))
    agent = agent_with(
        models["agent"],
        function_calling_llm=models["tools"],
        planning_config=PlanningConfig(llm=models["reason"]),
    )
    guard = LLMGuardrail(description="be nice", llm=models["guard"])
    crew = Crew(
        agents=[agent],
        tasks=[task_for(agent, guardrail=guard)],
        manager_agent=agent_with(models["boss"], "boss"),
        process=Process.hierarchical,
        planning_llm=models["plan"],
        chat_llm=models["chat"],
        memory=Memory(llm=models["memory"], embedder=lambda texts: [[0.0]] * len(texts)),
    )
    crew.manager_llm = models["manager"]
    schedule_crew(crew, scheduler=scheduler)
    assert [name for name, model in models.items() if not is_scheduled(model)] == []
    assert is_scheduled(crew.memory._llm)  # a memory works with a copy of its model


def test_models_that_are_given_by_name_are_made_and_scheduled(scheduler, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    agent = agent_with(Echo(model="x"))
    crew = Crew(agents=[agent], tasks=[task_for(agent)], planning=True)
    crew.chat_llm = "openai/gpt-4o-mini"
    schedule_crew(crew, scheduler=scheduler)
    assert is_scheduled(crew.planning_llm)
    assert crew.planning_llm.model.startswith("gpt")
    assert is_scheduled(crew.chat_llm)


class Embedder:
    def __init__(self):
        self.asked = []

    def __call__(self, texts):
        self.asked.append(texts)
        return [[1.0]] * len(texts)


@pytest.mark.parametrize("is_function", [True, False])
def test_embedder_of_a_memory_is_scheduled(scheduler, records, is_function):
    embedder = Embedder()
    given = (lambda texts: embedder(texts)) if is_function else embedder
    agent = agent_with(Echo(model="x"))
    crew = Crew(
        agents=[agent], tasks=[task_for(agent)], memory=Memory(llm=Echo(model="m"), embedder=given)
    )
    for _ in range(2):
        schedule_crew(crew, scheduler=scheduler)
    assert crew.memory._embedder(["a", "b"]) == [[1.0], [1.0]]
    assert embedder.asked == [["a", "b"]]
    assert [r.call.call_site for r in records if isinstance(r, CallFinished)] == ["embedder"]


@pytest.mark.parametrize("schedule", [schedule_crew, schedule_llm])
def test_wrong_arguments_are_explained(schedule):
    with pytest.raises(ConfigError, match="needs a"):
        schedule(3)
