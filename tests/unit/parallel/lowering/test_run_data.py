"""What nodes read of `config` and `runtime`: the same in both forms, and no reason to wait."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime, get_runtime
from pydantic import BaseModel
from typing_extensions import TypedDict

from langgraph_parallel import parallelize


class State(TypedDict, total=False):
    text: str
    a: Any
    b: Any
    c: Any
    d: Any


@dataclass
class Record:
    user: str = "nobody"
    options: dict = field(default_factory=dict)
    client: object = None


class Model(BaseModel):
    user: str = "nobody"
    options: dict = {}


class Typed(TypedDict, total=False):
    user: str
    options: dict


@dataclass
class Coded:
    user: str = "nobody"
    log: list = field(default_factory=list)

    @property
    def name(self):
        self.log.append(self.user)
        return len(self.log)


def first(state: State) -> Any:
    return {"a": 1}


def second(state: State) -> Any:
    return {"b": 1}


def build(*nodes, schema=None):
    builder = StateGraph(State, context_schema=schema)
    builder.add_sequence(list(nodes))
    builder.add_edge(START, nodes[0].__name__)
    builder.add_edge(nodes[-1].__name__, END)
    return builder


def moves(*nodes, schema=None) -> bool:
    return parallelize(build(*nodes, schema=schema).compile()).parallel_report.is_parallel


def agree(*nodes, schema=None, make=dict, **options) -> None:
    """Both forms answer as the original, each on data of its own."""
    expected = build(*nodes, schema=schema).compile().invoke({"text": "x"}, **options, **make())
    for mode in ("fanout", "exact"):
        made = parallelize(build(*nodes, schema=schema).compile(), mode=mode)
        assert made.invoke({"text": "x"}, **options, **make()) == expected


# -- config ----------------------------------------------------------------------------------------


def user_of_metadata(state: State, config: RunnableConfig) -> Any:
    return {"c": config["metadata"]["user"]}


def thread_of_metadata(state: State, config: RunnableConfig) -> Any:
    return {"c": config.get("metadata", {}).get("thread_id")}


def tags(state: State, config: RunnableConfig) -> Any:
    return {"c": ", ".join(config["tags"])}


def run_id(state: State, config: RunnableConfig) -> Any:
    return {"c": config.get("run_id")}


def limit(state: State, config: RunnableConfig) -> Any:
    return {"c": config.get("recursion_limit", 25)}


def has_user(state: State, config: RunnableConfig) -> Any:
    return {"c": "user" in config["configurable"]}


@pytest.mark.parametrize(
    "node", [user_of_metadata, thread_of_metadata, tags, run_id, limit, has_user]
)
def test_entries_of_the_config_that_are_the_callers_hold_nothing_back(node):
    assert moves(first, node)
    given = {"metadata": {"user": "ann"}, "tags": ["t"], "configurable": {"user": "ann"}}
    agree(first, node, config=given)


def by_item(state: State, config: RunnableConfig) -> Any:
    return {"c": config["metadata"]["langgraph_step"]}


def by_copy(state: State, config: RunnableConfig) -> Any:
    return {"c": dict(config)["metadata"]["langgraph_step"]}


def by_spread(state: State, config: RunnableConfig) -> Any:
    return {"c": {**config, "tags": []}["metadata"]["langgraph_step"]}


def by_items(state: State, config: RunnableConfig) -> Any:
    return {"c": [v["langgraph_step"] for k, v in config.items() if k == "metadata"]}


def by_union(state: State, config: RunnableConfig) -> Any:
    return {"c": (config["metadata"] | {})["langgraph_step"]}


def by_bound_method(state: State, config: RunnableConfig) -> Any:
    return {"c": getattr(config["metadata"], "get")("langgraph_step")}  # noqa: B009


def by_text(state: State, config: RunnableConfig) -> Any:
    return {"c": "'langgraph_step': 3" in str(config)}


def by_inner_function(state: State, config: RunnableConfig) -> Any:
    inner = RunnableLambda(lambda _, config: config["metadata"]["langgraph_step"])
    return {"c": inner.invoke("x", config)}


def by_keyword_only(state: State, config: RunnableConfig) -> Any:
    def look(_, *, config):
        return config["metadata"]["langgraph_step"]

    return {"c": RunnableLambda(look).invoke("x", config)}


SEEING = [
    *(by_item, by_copy, by_spread, by_items, by_union, by_bound_method, by_text),
    *(by_inner_function, by_keyword_only),
]


@pytest.mark.parametrize("node", SEEING)
def test_number_of_the_superstep_stays_what_it_was_however_it_is_read(node):
    agree(first, second, node)


def third(state: State) -> Any:
    return {"d": 1}


def fourth(state: State) -> Any:
    return {"a": 2}


def test_what_follows_a_reader_of_the_superstep_still_moves():
    graph = parallelize(build(first, second, by_item, third, fourth).compile())
    assert [r.region.nodes for r in graph.parallel_report.regions if r.levels] == [
        ("third", "fourth")
    ]
    agree(first, second, by_item, third, fourth)


def test_supersteps_of_a_thread_are_counted_on_as_the_original_does():
    nodes = (by_item, first, second, third)
    answers = []
    for make in (lambda graph: graph, parallelize):
        graph = make(build(*nodes).compile(checkpointer=InMemorySaver()))
        thread = {"configurable": {"thread_id": "1"}}
        answers.append([graph.invoke({"text": "x"}, thread)["c"] for _ in range(3)])
    assert answers[0] == answers[1]


def change_setting(state: State, config: RunnableConfig) -> Any:
    config["configurable"]["options"]["k"] = 1
    return {"a": 1}


def copy_setting(state: State, config: RunnableConfig) -> Any:
    return {"c": dict(config["configurable"].get("options"))}


def hand_out_setting(state: State, config: RunnableConfig) -> Any:
    return {"d": config["configurable"]["options"]}


def change_by_state(state: State) -> Any:
    state["d"]["k"] = 2
    return {"a": 1}


@pytest.mark.parametrize(
    "nodes",
    [
        (change_setting, copy_setting),
        (copy_setting, change_setting),
        (hand_out_setting, change_by_state, copy_setting),
        (hand_out_setting, copy_setting, change_by_state),
    ],
)
def test_settings_changed_in_place_keep_their_order(nodes):
    agree(*nodes, make=lambda: {"config": {"configurable": {"options": {}}}})


# -- context ---------------------------------------------------------------------------------------


def by_attribute(state: State, runtime: Runtime[Record]) -> Any:
    return {"c": f"Dear {runtime.context.user.upper()}"}


def by_key(state: State, runtime: Runtime[Typed]) -> Any:
    return {"c": runtime.context["user"] + (runtime.context or {}).get("tone", "")}


def by_getter(state: State) -> Any:
    return {"c": get_runtime(Record).context.user}


@pytest.mark.parametrize(
    ("node", "schema", "context"),
    [
        (by_attribute, Record, {"user": "ann"}),
        (by_attribute, Record, Record(user="ann")),
        (by_attribute, Model, {"user": "ann"}),
        (by_attribute, Model, Model(user="ann")),
        (by_getter, Record, Record(user="ann")),
        (by_key, Typed, {"user": "ann"}),
        (by_key, None, {"user": "ann"}),
        (by_key, dict, {"user": "ann"}),
    ],
)
def test_plain_data_of_the_context_holds_nothing_back(node, schema, context):
    graph = parallelize(build(first, node, schema=schema).compile())
    assert graph.parallel_report.is_parallel
    agree(first, node, schema=schema, context=context)
    steps = list(graph.stream({"text": "x"}, context=context, stream_mode="debug"))
    assert max(part["step"] for part in steps) == 1


@pytest.mark.parametrize("mode", ["fanout", "exact"])
@pytest.mark.looptime
async def test_nodes_that_read_the_context_wait_together(mode):
    async def ask(state: State, runtime: Runtime[Record]) -> Any:
        await asyncio.sleep(3)
        return {"a": runtime.context.user}

    async def search(state: State, runtime: Runtime[Record]) -> Any:
        await asyncio.sleep(4)
        return {"b": runtime.context.user}

    loop = asyncio.get_running_loop()
    original = build(ask, search, schema=Record).compile()
    answers, seconds = [], []
    for graph in (original, parallelize(original, mode=mode)):
        began = loop.time()
        answers.append(await graph.ainvoke({"text": "x"}, context=Record(user="ann")))
        seconds.append(loop.time() - began)
    assert answers[0] == answers[1]
    assert seconds == pytest.approx([7, 4], abs=1e-6)


class Talkative:
    """Counts how often it is looked at."""

    def __init__(self):
        self.looks = 0

    def __str__(self):
        self.looks += 1
        return str(self.looks)


def show_client(state: State, runtime: Runtime[Record]) -> Any:
    return {"c": f"{runtime.context.client}"}


def show_client_again(state: State, runtime: Runtime[Record]) -> Any:
    return {"d": f"{runtime.context.client}"}


def change_context(state: State, runtime: Runtime[Record]) -> Any:
    runtime.context.options["k"] = 1
    return {"a": 1}


def read_context(state: State, runtime: Runtime[Record]) -> Any:
    return {"c": runtime.context.options.get("k")}


def hand_out_context(state: State, runtime: Runtime[Record]) -> Any:
    return {"d": runtime.context.options}


def read_property(state: State, runtime: Runtime[Coded]) -> Any:
    return {"c": runtime.context.name}


def read_property_again(state: State, runtime: Runtime[Coded]) -> Any:
    return {"d": runtime.context.name}


def rename(state: State, runtime: Runtime[Record]) -> Any:
    runtime.context.user = "bob"
    return {"a": 1}


def read_all(state: State, runtime: Runtime[Record]) -> Any:
    return {"c": str(runtime.context)}


@pytest.mark.parametrize(
    ("nodes", "schema", "make"),
    [
        ((show_client, show_client_again), Record, lambda: Record(client=Talkative())),
        ((show_client, show_client_again), None, lambda: Record(client=Talkative())),
        ((change_context, read_context), Record, Record),
        ((read_context, change_context), Record, Record),
        ((hand_out_context, change_by_state, read_context), Record, Record),
        ((read_property, read_property_again), Coded, Coded),
        ((read_property, read_property_again), None, Coded),
        ((rename, by_attribute), Record, Record),
        ((rename, by_getter), Record, Record),
        ((rename, read_all), Record, Record),
        ((change_context, read_all), Record, Record),
    ],
)
def test_context_that_runs_code_or_changes_keeps_the_order(nodes, schema, make):
    agree(*nodes, schema=schema, make=lambda: {"context": make()})
