"""Clients of model services: calls of a model, wherever the client is made."""

import httpx
import openai
import pytest
from typing_extensions import TypedDict

from langgraph_parallel import infer_effects

CLIENT = openai.OpenAI(api_key="none")
ASKED = []


class State(TypedDict, total=False):
    a: str
    b: str


def messages(text):
    return [{"role": "user", "content": text}]


def found_client(state):
    answer = CLIENT.chat.completions.create(model="m", messages=messages(state["a"]))
    return {"b": f"{answer.choices[0].message.content} {answer.usage.total_tokens}"}


def made_client(state):
    client = openai.OpenAI(api_key="none")
    answer = client.chat.completions.create(model="m", messages=messages(state["a"]))
    return {"b": answer.choices[0].message.content.strip()}


class Service:
    def __init__(self):
        self.client = openai.OpenAI(api_key="none")

    def ask(self, text):
        return self.client.responses.create(model="m", input=text).output_text


SERVICE = Service()


def service(state):
    return {"b": SERVICE.ask(state["a"])}


async def in_a_coroutine(state):
    async with openai.AsyncOpenAI(api_key="none") as client:
        answer = await client.beta.chat.completions.parse(
            model="m", messages=messages(state["a"]), response_format=dict
        )
    return {"b": answer.choices[0].message.parsed["x"]}


def streamed(state):
    text = ""
    with CLIENT.chat.completions.stream(model="m", messages=messages(state["a"])) as events:
        for event in events:
            text += event.delta
    return {"b": text}


@pytest.mark.parametrize("node", [found_client, made_client, service, in_a_coroutine, streamed])
def test_call_of_a_client_is_a_model_call(node):
    found = infer_effects(node, State)
    assert (found.reads, found.writes, found.external) == ({"a"}, {"b"}, {"model"})
    assert not found.changes
    assert not found.mutates


class Counting(openai.OpenAI):
    def _prepare_options(self, options):
        ASKED.append(options)
        return options


class Replaced(openai.OpenAI):
    @property
    def chat(self):
        ASKED.append("chat")
        return CLIENT.chat


COUNTING = Counting(api_key="none")
REPLACED = Replaced(api_key="none")
HOOKED = openai.OpenAI(
    api_key="none",
    http_client=httpx.Client(event_hooks={"request": [ASKED.append]}),
)


def subclass(state):
    answer = COUNTING.chat.completions.create(model="m", messages=messages(state["a"]))
    return {"b": answer.choices[0].message.content}


def replaced(state):
    answer = REPLACED.chat.completions.create(model="m", messages=messages(state["a"]))
    return {"b": answer.choices[0].message.content}


def hooked(state):
    answer = HOOKED.chat.completions.create(model="m", messages=messages(state["a"]))
    return {"b": answer.choices[0].message.content}


def hooked_in_the_node(state):
    hooks = {"request": [lambda request: ASKED.append(request)]}
    client = openai.OpenAI(api_key="none", http_client=httpx.Client(event_hooks=hooks))
    answer = client.chat.completions.create(model="m", messages=messages(state["a"]))
    return {"b": answer.choices[0].message.content}


def uploads(state):
    return {"b": CLIENT.files.create(file=b"1", purpose="batch").id}


def deletes(state):
    return {"b": CLIENT.chat.completions.delete("id").id}


@pytest.mark.parametrize("node", [subclass, replaced, hooked, hooked_in_the_node, uploads, deletes])
def test_client_with_code_of_its_own_or_another_call_keeps_its_place(node):
    found = infer_effects(node, State)
    assert found.external & {"unknown", "write"} or found.changes
