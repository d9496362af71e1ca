"""The batch form: answers in the order of the calls, dependencies kept, errors told."""

import asyncio

import pytest
from langchain_core.messages import AIMessage
from scripted_model import ScriptedModel

from langgraph_rsm import ConfigError, Engine
from langgraph_rsm.batch import LLMCall, atlas, balancer, fcfs, plas, prioritize


class Echo(ScriptedModel):
    """Answers with what it was asked."""

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        result = super()._generate(messages, stop=stop, run_manager=run_manager, **kwargs)
        result.generations[0].message = AIMessage(f"re: {messages[-1].content}")
        return result

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        await asyncio.sleep(float(len(messages[-1].content)))
        return self._generate(messages, stop=stop, run_manager=run_manager, **kwargs)


@pytest.fixture
def engines():
    return [Engine(Echo(), name="one", capacity=1), Engine(Echo(), name="two", capacity=2)]


def texts(answers):
    return [answer.content for answer in answers]


@pytest.mark.parametrize("order", [atlas, plas, fcfs])
def test_answers_come_in_the_order_of_the_calls(engines, order):
    calls = [LLMCall(program_id=f"p{n % 3}", prompt=f"q{n}") for n in range(20)]
    assert texts(balancer(order(calls), engines).execute()) == [f"re: q{n}" for n in range(20)]


def test_calls_see_the_answers_they_depend_on(engines):
    calls = [
        LLMCall(
            program_id="p",
            call_id="sum",
            depends_on=("left", "right"),
            prompt=lambda got: f"{got['left'].content} + {got['right'].content}",
        ),
        LLMCall(program_id="p", call_id="left", prompt="a"),
        LLMCall(program_id="p", call_id="right", prompt="b"),
    ]
    answers = balancer(atlas(calls), engines).execute()
    assert texts(answers) == ["re: re: a + re: b", "re: a", "re: b"]


@pytest.mark.looptime
async def test_async_batch_fills_all_slots_and_can_run_again(engines):
    batch = balancer(atlas([LLMCall(program_id="p", prompt="xx") for _ in range(6)]), engines)
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    assert len(await batch.aexecute()) == 6
    assert loop.time() - start_s == 4  # two rounds of three
    assert texts(await batch.aexecute()) == ["re: xx"] * 6
    assert batch.scheduler.snapshot().programs == ()


@pytest.mark.looptime
async def test_async_error_cancels_the_rest(engines):
    def broken(answers):
        raise LookupError("no such answer")

    calls = [
        LLMCall(program_id="p", call_id="a", prompt="x"),
        LLMCall(program_id="p", call_id="b", prompt=broken, depends_on=("a",)),
        LLMCall(program_id="q", call_id="c", prompt="x" * 50),
    ]
    batch = balancer(atlas(calls), engines)
    with pytest.raises(LookupError):
        await batch.aexecute()
    assert asyncio.get_running_loop().time() < 50
    assert sum(engine.in_flight for engine in batch.scheduler.snapshot().engines) == 0


def test_sync_error_is_raised_and_frees_all_slots(engines):
    def broken(answers):
        raise LookupError("no such answer")

    calls = [
        LLMCall(program_id="p", call_id="a", prompt="x"),
        LLMCall(program_id="p", call_id="b", prompt=broken, depends_on=("a",)),
    ]
    batch = balancer(atlas(calls), engines)
    with pytest.raises(LookupError):
        batch.execute()
    assert sum(engine.in_flight for engine in batch.scheduler.snapshot().engines) == 0


def test_empty_batch_has_no_answers(engines):
    assert balancer(atlas([]), engines).execute() == []


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ([LLMCall(program_id="p", prompt="", depends_on=("x",))], "not in the batch"),
        ([LLMCall(program_id="p", prompt="", call_id="a", depends_on=("a",))], "on each other"),
        ([LLMCall(program_id="p", prompt="", call_id="a")] * 2, "different ids"),
    ],
)
def test_impossible_batch_is_refused(calls, message):
    with pytest.raises(ConfigError, match=message):
        atlas(calls)


def test_unknown_names_are_refused(engines):
    with pytest.raises(ConfigError, match="unknown policy 'lottery'"):
        prioritize("lottery", [])
    with pytest.raises(ConfigError, match="unknown balancer 'lottery'"):
        balancer(atlas([]), engines, policy="lottery")
    with pytest.raises(ConfigError, match="at least one engine"):
        balancer(atlas([]), [])
    with pytest.raises(ConfigError, match="must be a chat model"):
        balancer(atlas([]), ["gpt"])
