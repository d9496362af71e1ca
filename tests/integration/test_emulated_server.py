"""The embedded engine as users meet it: over HTTP, through `ChatOpenAI` and from the shell."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import aiohttp
import httpx
import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from langgraph_rsm.emulation import StartError, serve

CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}


class Report(BaseModel):
    title: str
    score: int
    tags: list[str]


def search(query: str, limit: int) -> str:
    """Search the web."""
    return f"{limit} results for {query}"


@pytest.fixture(scope="module")
def server():
    with serve("gpu-8b", speed=100) as running:
        yield running


def chat(server, **options):
    settings = {"max_tokens": 12, "max_retries": 0, "timeout": 20, **options}
    return ChatOpenAI(base_url=server.base_url, model=server.model, api_key="x", **settings)


@contextlib.asynccontextmanager
async def async_chat(server):
    # The client that langchain shares between event loops is never closed.
    async with httpx.AsyncClient() as http:
        yield chat(server, http_async_client=http)


async def until(condition, *, timeout_s=5.0):
    """Wait for another thread, which has no event to wait for."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "the condition did not come true in time"
        await asyncio.sleep(0.005)


def post(server, body, *, headers=None):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"{server.base_url}/chat/completions"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers or {})) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def get(server, path):
    with urllib.request.urlopen(server.base_url.removesuffix("/v1") + path) as response:
        return response.read().decode()


def test_invoke_answers_with_usage_and_reason(server):
    answer = chat(server).invoke("Tell me about rivers.")
    assert len(answer.content.split()) == 12
    assert answer.usage_metadata["output_tokens"] == 12
    assert answer.response_metadata["finish_reason"] == "length"


async def test_ainvoke_gives_the_same_answer_as_invoke(server):
    async with async_chat(server) as llm:
        first = await llm.ainvoke("Tell me about lakes.")
    second = chat(server).invoke("Tell me about lakes.")
    assert first.content == second.content


def test_stream_joins_to_the_answer_and_ends_with_usage(server):
    chunks = list(chat(server, stream_usage=True).stream("Tell me about seas."))
    assert "".join(c.content for c in chunks) == chat(server).invoke("Tell me about seas.").content
    usages = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert [usage["output_tokens"] for usage in usages] == [12]
    reasons = [c.response_metadata.get("finish_reason") for c in chunks]
    assert [reason for reason in reasons if reason] == ["length"]


def test_later_turn_hits_the_prefix_cache(server):
    question = HumanMessage("Tell me about glaciers. " * 20)
    first = chat(server).invoke([question])
    second = chat(server).invoke([question, first, HumanMessage("More.")])
    cached = second.usage_metadata["input_token_details"]["cache_read"]
    together = first.usage_metadata["input_tokens"] + first.usage_metadata["output_tokens"]
    assert together - 16 <= cached <= together


def test_sliced_generation_equals_the_whole_and_hits_the_cache(server):
    question = HumanMessage("Tell me about deltas.")
    whole = chat(server, max_tokens=48).invoke([question])
    written = ""
    for _ in range(3):
        partial = [AIMessage(written)] if written else []
        options = {"extra_body": CONTINUE} if written else {}
        answer = chat(server, max_tokens=16, **options).invoke([question, *partial])
        written += answer.content
    assert written == whole.content
    assert answer.usage_metadata["input_token_details"]["cache_read"] >= 32


def test_bound_tool_is_called_and_its_result_leads_to_an_answer(server):
    llm = chat(server, max_tokens=None, extra_body={"emulate_tool_rounds": 1}).bind_tools([search])
    question = HumanMessage("Find something.")
    called = llm.invoke([question])
    (call,) = called.tool_calls
    assert (call["name"], set(call["args"])) == ("search", {"query", "limit"})
    assert called.response_metadata["finish_reason"] == "tool_calls"
    result = ToolMessage(search(**call["args"]), tool_call_id=call["id"])
    answer = llm.invoke([question, called, result])
    assert answer.content
    assert not answer.tool_calls


def test_streamed_tool_call_equals_the_whole_one(server):
    llm = chat(server, max_tokens=None).bind_tools([search], tool_choice="any")
    chunks = list(llm.stream("Find it."))
    joined = chunks[0]
    for chunk in chunks[1:]:
        joined += chunk
    (streamed,), (whole,) = joined.tool_calls, llm.invoke("Find it.").tool_calls
    assert (streamed["name"], streamed["args"]) == (whole["name"], whole["args"])
    assert len(chunks) > 4


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_is_parsed(server, method):
    llm = chat(server, max_tokens=None).with_structured_output(Report, method=method)
    assert isinstance(llm.invoke("Report."), Report)


async def test_many_concurrent_calls_all_finish(server):
    async with async_chat(server) as llm:
        answers = await asyncio.gather(*(llm.ainvoke(f"Topic {i}") for i in range(64)))
    assert {answer.usage_metadata["output_tokens"] for answer in answers} <= set(range(1, 13))


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        ({"messages": [{"role": "user", "content": "x"}], "model": "other"}, 404, "model"),
        ({"messages": [{"role": "user", "content": "x"}], "n": 2}, 400, "n"),
        ({"messages": [{"role": "user", "content": "x"}], "priority": 1}, 400, "priority"),
        ({"messages": [{"role": "user", "content": 5}]}, 400, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x"}], "max_tokens": 10**6}, 400, "max_tokens"),
        (b" " * (16 * 1024 * 1024 + 1), 413, None),
    ],
)
def test_wrong_request_gets_an_openai_error(server, body, status, param):
    got, answer = post(server, body)
    assert got == status
    assert answer["error"]["param"] == param
    assert answer["error"]["code"] == status


def test_client_raises_the_matching_error(server):
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        chat(server).bind(model="other").invoke("x")
    with pytest.raises(openai.BadRequestError, match="fcfs"):
        chat(server, extra_body={"priority": 1}).invoke("x")


def test_request_id_header_becomes_the_response_id(server):
    body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
    assert post(server, body, headers={"X-Request-Id": "corr-1"})[1]["id"] == "chatcmpl-corr-1"


def test_small_routes_answer(server):
    assert json.loads(get(server, "/v1/models"))["data"][0]["id"] == server.model
    assert get(server, "/health") == ""
    assert "version" in json.loads(get(server, "/version"))
    assert "vllm:num_requests_running{" in get(server, "/metrics")
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        get(server, "/nowhere")
    caught.value.close()


@pytest.mark.parametrize("stream", [True, False])
async def test_client_that_leaves_frees_its_seat(stream):
    body = {"messages": [{"role": "user", "content": "x"}], "ignore_eos": True, "stream": stream}
    with serve("gpu-8b") as server:

        async def ask():
            url = f"{server.base_url}/chat/completions"
            async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
                await response.read()

        asking = asyncio.create_task(ask())
        await until(lambda: server.stats().running == 1)
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        await until(lambda: server.stats().running == 0, timeout_s=1.0)
        assert server.stats().counters.finished_abort == 1


def test_priority_engine_accepts_priorities():
    with serve("gpu-8b", speed=100, scheduling_policy="priority") as server:
        assert chat(server, extra_body={"priority": -3}).invoke("x").content


def test_rate_limit_answers_429_with_retry_headers():
    with serve("gpu-8b", speed=100, rate_limit_rpm=1) as server:
        chat(server).invoke("x")
        with pytest.raises(openai.RateLimitError) as caught:
            chat(server).invoke("x")
    headers = caught.value.response.headers
    assert 1 <= int(headers["retry-after"]) <= 60
    assert headers["x-ratelimit-remaining-requests"] == "0"


def test_full_queue_answers_503():
    body = {"messages": [{"role": "user", "content": "x"}], "ignore_eos": True, "max_tokens": 500}
    with serve("gpu-8b", max_num_seqs=1, max_queue=1) as server:

        async def flood():
            async with aiohttp.ClientSession() as session:
                url = f"{server.base_url}/chat/completions"
                posts = [asyncio.create_task(session.post(url, json=body)) for _ in range(4)]
                done, left = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
                for task in left:
                    task.cancel()
                await asyncio.gather(*left, return_exceptions=True)
                return {task.result().status for task in done}

        assert asyncio.run(flood()) == {503}


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("error", openai.InternalServerError),
        ("cut", openai.APIConnectionError),
        ("stall", openai.APITimeoutError),
    ],
)
def test_injected_fault_reaches_the_client(kind, error):
    with serve("gpu-8b", speed=100, fault_rate=1.0, fault_kinds=[kind]) as server:
        with pytest.raises(error):
            chat(server, timeout=0.3).invoke("x")
        assert server.stats().running == 0


def test_injected_cut_breaks_a_stream():
    with serve("gpu-8b", speed=100, fault_rate=1.0, fault_kinds=["cut"]) as server:
        received = []
        with pytest.raises(Exception, match=r"(?i)peer closed|incomplete|reset|connection"):
            received.extend(chat(server).stream("x"))


def test_occupied_port_is_named(server):
    with pytest.raises(StartError, match=f"port {server.port} is in use on 127.0.0.1"):
        serve("gpu-8b", port=server.port).start()


def test_server_that_was_not_started_says_so():
    with pytest.raises(StartError, match="was not started"):
        _ = serve().base_url


def test_command_announces_itself_and_ends_quickly_with_an_open_stream():
    command = [sys.executable, "-m", "langgraph_rsm", "emulate", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().removeprefix("listening on ").strip()
        assert 'model="gpu-8b"' in process.stdout.readline()
        body = {"messages": [{"role": "user", "content": "x"}], "ignore_eos": True, "stream": True}
        request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode())
        with urllib.request.urlopen(request) as response:
            assert response.readline().startswith(b"data: ")
            start_s = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=5) == 0
            assert time.monotonic() - start_s < 2


def test_a_client_that_leaves_is_no_error(caplog):
    with serve("tiny-cpu") as running:
        for _ in range(10):
            streams = [chat(running, max_tokens=500).stream("x") for _ in range(4)]
            for stream in streams:
                next(stream)
            for stream in streams:
                stream.close()
    assert not [record for record in caplog.records if record.exc_info]
