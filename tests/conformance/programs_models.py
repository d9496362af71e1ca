"""Programs that call models and servers, and what callbacks and servers see of it."""

import json
import time
from typing import Any

import httpx
from langchain_core.callbacks import BaseCallbackHandler, UsageMetadataCallbackHandler
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from programs import PAUSE_S, chain, pause, program

CHUNK = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "gold"}}
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}


def _stream():
    delta = {"index": 0, "delta": {"role": "assistant", "content": "gold"}, "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    for choice in (delta, last):
        yield f"data: {json.dumps({**CHUNK, 'choices': [choice]})}\n\n"
    yield "data: [DONE]\n\n"


def chat(requests: list[Any] | None = None, **options: Any) -> ChatOpenAI:
    """Return a model whose server answers `gold`, and notes whether it was asked to stream."""

    def answer(request):
        asked = json.loads(request.content)
        if requests is not None:
            requests.append(bool(asked.get("stream")))
        time.sleep(PAUSE_S)
        if asked.get("stream"):
            text = "".join(_stream())
            return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})
        return httpx.Response(200, json=ANSWER)

    client = httpx.Client(transport=httpx.MockTransport(answer))
    return ChatOpenAI(
        model="m", api_key="none", base_url="http://model.test/v1", http_client=client, **options
    )


# -- callbacks that collect -----------------------------------------------------------------------


class Costs(BaseCallbackHandler):
    def __init__(self):
        self.calls = 0

    def on_llm_end(self, response, **_):
        self.calls += 1


def _billed(make_model, **options):
    costs = Costs()
    model = make_model(costs)

    def research(state):
        return {"a": model.invoke("facts").content}

    def bill(state):
        return {"b": costs.calls}

    return chain(research, bill, **options)


@program("callback that collects")
def of_the_model():
    return _billed(lambda costs: chat(callbacks=[costs]))


@program("callback that collects")
def of_with_config():
    return _billed(lambda costs: chat().with_config(callbacks=[costs]))


@program("callback that collects")
def of_the_call():
    costs, model = Costs(), chat()

    def research(state):
        return {"a": model.invoke("facts", {"callbacks": [costs]}).content}

    def bill(state):
        return {"b": costs.calls}

    return chain(research, bill)


@program("callback that collects")
def of_the_run():
    costs, model = Costs(), chat()

    def research(state):
        return {"a": model.invoke("facts").content}

    def bill(state):
        return {"b": costs.calls}

    return chain(research, bill, options={"config": {"callbacks": [costs]}})


# -- a call that must not become a stream ---------------------------------------------------------


def _asks(make):
    requests: list = []
    model = make(requests)

    def find_topic(state):
        return {"a": model.invoke("topic")}

    def find_mood(state):
        return {"b": model.invoke("mood")}

    return chain(find_topic, find_mood, seen=lambda: requests)


@program("call or stream")
def messages_keep_their_usage():
    return _asks(chat)


@program("call or stream")
def of_a_sequence():
    return _asks(lambda requests: ChatPromptTemplate.from_template("{v}") | chat(requests))


@program("call or stream")
def usage_of_a_handler():
    usage = UsageMetadataCallbackHandler()
    model = chat()

    def find_topic(state):
        return {"a": model.invoke("topic").content}

    def find_mood(state):
        return {"b": model.invoke("mood").content}

    config = {"callbacks": [usage]}
    seen = lambda: usage.usage_metadata  # noqa: E731
    return chain(find_topic, find_mood, seen=seen, options={"config": config})


@program("call or stream")
def a_batch():
    requests: list = []
    model = chat(requests)

    def find_topic(state):
        return {"a": [answer.content for answer in model.batch(["x", "y"])]}

    def find_mood(state):
        return {"b": model.invoke("mood").response_metadata.get("token_usage")}

    return chain(find_topic, find_mood, seen=lambda: requests)


# -- a guard that a model must wait for -----------------------------------------------------------


def _guarded(check):
    """Return a program whose second node must not ask once the first one has failed."""
    requests: list = []
    model = chat(requests)

    def answer(state):
        return {"b": model.invoke(state["text"]).content}

    return chain(check, answer, given={"text": "bad"}, seen=lambda: len(requests))


def _service(request):
    time.sleep(PAUSE_S)
    return httpx.Response(200, json={"flagged": True})


@program("guard before a model")
def that_posts():
    client = httpx.Client(transport=httpx.MockTransport(_service))

    def guard(state):
        if client.post("http://check.test/", json={"text": state["text"]}).json()["flagged"]:
            raise ValueError("flagged")
        return {"a": "fine"}

    return _guarded(guard)


@program("guard before a model")
def that_keeps_a_record():
    refused: list = []

    def guard(state):
        pause()
        refused.append(state["text"])
        raise ValueError("flagged")

    return _guarded(guard)


@program("guard before a model")
def that_deletes():
    client = httpx.Client(transport=httpx.MockTransport(_service))

    def guard(state):
        client.delete("http://check.test/draft").raise_for_status()
        raise PermissionError("flagged")

    return _guarded(guard)


# -- one session ----------------------------------------------------------------------------------


def _site(request):
    time.sleep(PAUSE_S)
    headers = {"set-cookie": "sid=1"} if "login" in str(request.url) else {}
    return httpx.Response(200, json={"cookie": request.headers.get("cookie")}, headers=headers)


@program("one session")
def two_gets():
    client = httpx.Client(transport=httpx.MockTransport(_site))

    def log_in(state):
        return {"a": client.get("http://shop.test/login").status_code}

    def fetch(state):
        return {"b": client.get("http://shop.test/orders").json()["cookie"]}

    return chain(log_in, fetch)


@program("one session")
def cookies_read_afterwards():
    client = httpx.Client(transport=httpx.MockTransport(_site))

    def log_in(state):
        return {"a": client.get("http://shop.test/login").status_code}

    def show(state):
        return {"b": dict(client.cookies)}

    return chain(log_in, show)


@program("one session")
def header_set_between():
    client = httpx.Client(transport=httpx.MockTransport(_site))

    def log_in(state):
        pause()
        client.headers["cookie"] = "sid=2"
        return {"a": 1}

    def fetch(state):
        return {"b": client.get("http://shop.test/orders").json()["cookie"]}

    return chain(log_in, fetch)


@program("one session")
def held_by_an_object():
    class Shop:
        def __init__(self):
            self.session = httpx.Client(transport=httpx.MockTransport(_site))

        def get(self, page):
            return self.session.get(f"http://shop.test/{page}").json()["cookie"]

    shop = Shop()

    def log_in(state):
        return {"a": shop.get("login")}

    def fetch(state):
        return {"b": shop.get("orders")}

    return chain(log_in, fetch)
