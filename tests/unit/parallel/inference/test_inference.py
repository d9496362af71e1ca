"""Golden tests of the analysis: a node function in, its effects as one line out."""

import functools
import heapq
import operator
from dataclasses import dataclass
from typing import Annotated

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AnyMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt
from pydantic import BaseModel, Field, field_validator, model_validator
from typing_extensions import TypedDict

from langgraph_parallel import ALL, AnalysisError, Effects, effects, infer_effects


class State(TypedDict, total=False):
    a: str
    b: str
    c: str
    n: int
    items: list[str]
    cfg: dict
    thing: object
    messages: Annotated[list[AnyMessage], add_messages]


LLM = ChatOpenAI(model="none", api_key="none", base_url="http://127.0.0.1:9/v1")
CACHE: dict[str, str] = {}
KEY = "a"


def show(node, schema=State) -> str:
    return str(infer_effects(node, schema))


def plain(state):
    return {"b": state["a"] + state.get("c", "")}


def model_call(state):
    return {"b": LLM.invoke(f"Summarize {state['a']}").content}


async def async_chain(state):
    chain = ChatPromptTemplate.from_template("{a}") | LLM | StrOutputParser()
    return {"b": (await chain.ainvoke({"a": state["a"]})).strip()}


def copied(state):
    s = dict(state)
    return {"b": s["a"]}


def method_alias(state):
    g = state.get
    return {"b": g("a")}


def loop_over_keys(state):
    found = []
    for key in ("a", "b"):
        found.append(state[key])
    return {"c": " ".join(found)}


def global_key(state):
    return {"b": state[KEY]}


def shadowed_key(state, KEY="c"):
    return {"b": state[KEY]}


def walrus(state):
    if (x := state["a"]) and (y := state["c"]):
        return {"b": x + y}
    return None


def match_keys(state):
    match state:
        case {"a": found}:
            return {"b": found}
    return {}


def match_rest(state):
    match state:
        case {"a": _, **rest}:
            return {"b": str(rest)}
    return {}


def whole_in_f_string(state):
    return {"b": f"{state}"}


def membership(state):
    return {"b": "yes" if "a" in state else "no"}


def rebound_state(state):
    look = lambda: state["b"]  # noqa: E731
    x = look()
    state = {"c": x}
    return {"a": state["c"]}


def late_closure(state):
    look = lambda: state[key]  # noqa: E731
    key = "a"
    found = look()
    key = "c"
    return {"b": found + look()}


def stepwise(state):
    out = {"b": "1"}
    out["c"] = "2"
    out.update(a="3")
    out |= {"n": 4}
    return out


def spread_state(state):
    return {**state, "a": "1"}


def whole_return(state):
    state["a"] = "1"
    return state


def stored_then_spread(state):
    state["a"] = "1"
    return {**state, "b": "2"}


def append(state):
    state["items"].append("x")


def append_by_alias(state):
    items = state["items"]
    other = items
    other += ["x"]
    return {"n": 1}


def append_in_container(state):
    box = []
    box.append(state["items"])
    box[0].append("x")
    return {"n": 1}


def nested_store(state):
    state["cfg"]["x"] = 1


def heap(state):
    heapq.heappush(state["items"], "x")


def own_list(state):
    found = []
    found.append("x")
    found.sort()
    return {"items": found}


def follow(state):
    return {"b": _helper(state)}


def _helper(s, key="c"):
    return s[key]


def recursive(state):
    return {"b": _down(state, 3)}


def _down(s, k):
    return s["a"] if k == 0 else _down(s, k - 1)


def sort_by(state):
    return {"items": sorted(state["items"], key=lambda item: len(item))}


def pause(state):
    return {"b": interrupt(state["a"])}


def goto(state):
    return Command(update={"b": "1"}, goto="next")


def guard(state):
    if not state["a"]:
        msg = "empty"
        raise ValueError(msg)
    return {"b": "1"}


def global_cache(state):
    CACHE[state["a"]] = "1"


def read_cache(state):
    return {"b": CACHE.get("x", "")}


def config_tag(state, config):
    return {"b": LLM.invoke(state["a"], config).content, "c": config["configurable"]["who"]}


def write_store(state, *, store):
    store.put(("x",), "k", {"v": state["a"]})


def stream(state, writer):
    writer({"progress": state["n"]})
    return {"b": "1"}


def unknown(state):
    return {"b": functools.reduce(operator.iadd, [state["items"]], [])}


def messages(state):
    reply = LLM.bind_tools([]).invoke([HumanMessage("hi"), *state["messages"]])
    return {"messages": [reply]}


def tried(state):
    try:
        value = state["a"]
    except KeyError as error:
        value = str(error)
    finally:
        print("done")
    return {"b": value}


GOLDEN = [
    (plain, "reads {a, c}, writes {b}"),
    (model_call, "reads {a}, writes {b}, looks at {LLM}, external {model}"),
    (async_chain, "reads {a}, writes {b}, looks at {LLM}, external {model}"),
    (copied, "reads {a}, writes {b}"),
    (method_alias, "reads {a}, writes {b}"),
    (loop_over_keys, "reads {a, b}, writes {c}"),
    (global_key, "reads {a}, writes {b}"),
    (shadowed_key, "reads {c}, writes {b}"),
    (walrus, "reads {a, c}, writes {b}"),
    (match_keys, "reads {a}, writes {b}"),
    (
        match_rest,
        "reads ALL, writes {b}, mutates {cfg, items, messages, thing}, external {unknown}",
    ),
    (
        whole_in_f_string,
        "reads ALL, writes {b}, mutates {cfg, items, messages, thing}, external {unknown}",
    ),
    (membership, "reads {a}, writes {b}"),
    (rebound_state, "reads {b}, writes {a}"),
    (late_closure, "reads {a, c}, writes {b}"),
    (stepwise, "reads {}, writes {a, b, c, n}"),
    (spread_state, "reads {messages}, writes {a, messages}"),
    (whole_return, "reads {messages}, writes {a, messages}"),
    (stored_then_spread, "reads {messages}, writes {a, b, messages}"),
    (append, "reads {items}, writes {}, mutates {items}"),
    (append_by_alias, "reads {items}, writes {n}, mutates {items}"),
    (append_in_container, "reads {items}, writes {n}, mutates {items}"),
    (nested_store, "reads {cfg}, writes {}, mutates {cfg}"),
    (heap, "reads {items}, writes {}, mutates {items}"),
    (own_list, "reads {}, writes {items}"),
    (follow, "reads {c}, writes {b}"),
    (recursive, "reads ALL, writes {b}, mutates ALL, external {unknown}"),
    (sort_by, "reads {items}, writes {items}"),
    (pause, "reads {a}, writes {b}, control {interrupt}"),
    (goto, "reads {}, writes {b}, control {goto}"),
    (guard, "reads {a}, writes {b}, control {raise}"),
    (global_cache, "reads {a}, writes {}, changes {CACHE}"),
    (read_cache, "reads {}, writes {b}, looks at {CACHE['x']}"),
    (
        config_tag,
        "reads {a}, writes {b, c}, looks at {LLM, the settings}, external {model}",
    ),
    (
        write_store,
        "reads {a}, writes {}, looks at {the store}, changes {the store}, external {write}",
    ),
    (stream, "reads {n}, writes {b}"),
    (unknown, "reads {items}, writes {b}, mutates {items}"),
    (messages, "reads {messages}, writes {messages}, looks at {LLM}, external {model}"),
    (tried, "reads {a}, writes {b}"),
]


@pytest.mark.parametrize(("node", "line"), GOLDEN, ids=lambda x: getattr(x, "__name__", ""))
def test_effects_of_node(node, line):
    assert show(node) == line


def test_two_lambdas_on_one_line_are_told_apart():
    first, second = (lambda state: {"b": state["a"]}), (lambda state: {"c": state["b"]})
    assert show(first) == "reads {a}, writes {b}"
    assert show(second) == "reads {b}, writes {c}"


def test_wrapper_is_analyzed_and_not_what_it_wraps():
    def audit(function):
        @functools.wraps(function)
        def wrapper(state):
            out = function(state)
            out["c"] = state["items"]
            return out

        return wrapper

    found = infer_effects(audit(plain), State)
    assert found.reads == {"a", "c", "items"}
    assert found.writes == {"b", "c"}


def test_declaration_on_wrapped_function_does_not_cover_its_wrapper():
    def wrap(function):
        @functools.wraps(function)
        def wrapper(state):
            state["items"].append("x")
            return function(state)

        return wrapper

    @wrap
    @effects(reads={"a"}, writes={"b"})
    def node(state):
        return {"b": state["a"]}

    assert infer_effects(node, State).mutates == {"items"}


def test_partial_binds_constant_key():
    def node(key, state):
        return {"b": state[key]}

    assert show(functools.partial(node, "c")) == "reads {c}, writes {b}"


def test_bound_method_reads_the_model_on_self():
    class Agent:
        def __init__(self):
            self.llm = LLM
            self.calls = 0

        def run(self, state):
            return {"b": self.llm.invoke(state["a"]).content}

        def count(self, state):
            self.calls += 1
            return {"b": state["a"]}

    assert show(Agent().run) == "reads {a}, writes {b}, looks at {Agent.llm}, external {model}"
    seen = "looks at {Agent.calls}, changes {Agent.calls}"
    assert show(Agent().count) == f"reads {{a}}, writes {{b}}, {seen}"


def test_both_bodies_of_a_runnable_lambda_count():
    def sync(state):
        return {"b": state["a"]}

    async def other(state):
        return {"c": state["n"]}

    assert show(RunnableLambda(sync, other)) == "reads {a, n}, writes {b, c}"


def test_code_without_source_is_top():
    scope = {}
    exec("def node(state): return {'b': state['a']}", scope)
    assert infer_effects(scope["node"], State) == Effects.top()
    assert not infer_effects(scope["node"], State).certain


def test_scripted_fake_model_keeps_its_order():
    fake = FakeListChatModel(responses=["1", "2"])

    def node(state):
        return {"b": fake.invoke("x").content}

    changed = infer_effects(node, State).changes
    assert any(place.owner is vars(fake) for place in changed)


def test_fields_that_are_asked_one_by_one_are_no_reads():
    class Model(BaseModel):
        a: str
        b: str = ""
        c: str = ""
        n: int = Field(0, ge=0)
        items: Annotated[list[str], operator.add] = Field(default_factory=list)

        @field_validator("c")
        @classmethod
        def check(cls, value):
            return value

    def node(state: Model):
        return {"b": "1"}

    assert infer_effects(node, Model).reads == frozenset()


def test_code_that_is_handed_several_fields_makes_every_field_a_read():
    class WithInfo(BaseModel):
        a: str = ""
        b: str = ""

        @field_validator("b")
        @classmethod
        def check(cls, value, info):
            return value or info.data["a"]

    class AsOne(BaseModel):
        a: str = ""
        b: str = ""

        @model_validator(mode="after")
        def check(self):
            return self

    class Made(BaseModel):
        a: str = ""
        b: str = Field(default_factory=lambda others: others["a"])

    class ByAnotherName(BaseModel):
        a: str = Field("", alias="b")
        b: str = ""

    class Later(BaseModel):
        a: str = ""
        b: str = ""

        def model_post_init(self, context):
            self.a = self.b

    @dataclass
    class After:
        a: str = ""
        b: str = ""

        def __post_init__(self):
            self.a = self.b

    def node(state):
        return {"b": "1"}

    for schema in (WithInfo, AsOne, Made, ByAnotherName, Later, After):
        assert infer_effects(node, schema).reads == {"a", "b"}, schema.__name__


def test_dataclass_attributes_are_reads():
    @dataclass
    class Shape:
        a: str = ""
        b: str = ""

    def node(state: Shape):
        return {"b": state.a}

    assert show(node, Shape) == "reads {a}, writes {b}"


def test_declared_effects_replace_the_analysis():
    @effects(reads={"a"}, writes={"b"}, external="model")
    def node(state):
        return eval("state")

    assert show(node) == "reads {a}, writes {b}, external {model}"


@effects(external="read", resources="vendor")
def fetch(query, limit=3):
    return eval("query")


def test_declared_helper_stands_for_its_code():
    def node(state):
        return {"b": fetch(state["a"])}

    found = infer_effects(node, State)
    assert str(found) == "reads {a}, writes {b}, external {read}, resources {vendor}"


def test_first_of_a_generator_expression_is_known():
    def node(state):
        return {"b": next((item for item in state["items"] if item == state["a"]), None)}

    assert show(node) == "reads {a, items}, writes {b}"


def test_return_that_is_not_understood_reads_and_writes_everything():
    def node(state):
        return LLM

    found = infer_effects(node, State)
    assert (found.reads, found.writes, found.goto) == (ALL, ALL, ALL)


@pytest.mark.parametrize("bad", [3, "node", None])
def test_a_node_that_is_not_callable_is_refused(bad):
    with pytest.raises(AnalysisError, match="must be a function or a runnable"):
        infer_effects(bad, State)


def test_misspelled_declaration_says_what_is_allowed():
    with pytest.raises(AnalysisError, match="use one of model, read, write, unknown"):
        effects(external="modle")


def test_grouping_by_a_computed_key_stays_inside_the_node():
    def node(state):
        groups = {}
        for line in state["a"].splitlines():
            groups.setdefault(line[:1], []).append(line)
        return {"b": len(groups)}

    assert show(node) == "reads {a}, writes {b}"


def take(box):
    return box.get("x")


def test_call_alike_is_followed_again_when_what_it_is_given_has_grown():
    def node(state):
        box = {}
        for _ in range(2):
            found = take(box)
            if found:
                found.append(1)
            box["x"] = state["items"]
        return {"b": 1}

    assert infer_effects(node, State).mutates == {"items"}


def test_calls_with_other_arguments_are_others():
    def node(state):
        take({"x": 1})
        take({"x": state["items"]}).append(1)
        return {"b": 1}

    assert infer_effects(node, State).mutates == {"items"}
