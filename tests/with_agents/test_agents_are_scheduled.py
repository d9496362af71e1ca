"""Real calls equal scheduled calls, and answers equal the bare model's, in every agent stack."""

import json

import pytest
from agent_runs import RUNS, script
from langchain_openai import ChatOpenAI
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient
from scripted_model import ScriptedModel

from langgraph_rsm import ScheduledChatModel, schedule
from langgraph_rsm.emulation import serve
from langgraph_rsm.telemetry import Outcome

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

FORMS = {
    "wrapper": lambda model, scheduler: ScheduledChatModel(inner=model, scheduler=scheduler),
    "subclass": lambda model, scheduler: schedule(model, scheduler=scheduler),
}


class AgentModel(ScriptedModel):
    """Scripted, with OpenAI's way of asking for a format."""

    def with_structured_output(self, schema, *, include_raw=False, **kwargs):
        kwargs.pop("method", None)
        return super().with_structured_output(schema, include_raw=include_raw, **kwargs)

    def _chunks(self, messages, kwargs):
        for chunk in super()._chunks(messages, kwargs):
            for call in chunk.message.tool_call_chunks:
                call["args"] = json.dumps(
                    next(one["args"] for one in self._message(messages, kwargs).tool_calls)
                )
            yield chunk


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("run", RUNS)
async def test_scripted_agents(scheduler, finished, form, run):
    bare = AgentModel(answer=script)
    expected = await RUNS[run](bare)
    model = AgentModel(answer=script)
    got = await RUNS[run](FORMS[form](model, scheduler))
    assert got == expected
    assert len(model.seen) == len(bare.seen) == len(finished()) > 0
    assert {record.outcome for record in finished()} == {Outcome.DONE}
    assert scheduler.snapshot().programs == ()


@pytest.fixture(scope="module")
def server():
    with serve("gpu-8b", speed=200) as server:
        yield server


@pytest.fixture
async def client(server):
    async with DefaultAsyncHttpxClient() as http_async:
        with DefaultHttpxClient() as http_sync:
            yield ChatOpenAI(
                base_url=server.base_url,
                model=server.model,
                api_key="none",
                max_tokens=30,
                http_async_client=http_async,
                http_client=http_sync,
            )


def served(server):
    counters = server.stats().counters
    return counters.finished_stop + counters.finished_length + counters.finished_abort


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("run", RUNS)
async def test_agents_over_http(server, client, scheduler, finished, form, run):
    before = served(server)
    bare = await _outcome(RUNS[run], client)
    between = served(server)
    scheduled = await _outcome(RUNS[run], FORMS[form](client, scheduler))
    assert type(scheduled) is type(bare)
    assert served(server) - between == between - before == len(finished()) > 0
    assert all(record.tokens for record in finished())


async def _outcome(run, model):
    try:
        return await run(model)
    except Exception as error:  # the engine makes answers up: not every stack can use them
        return error
