"""Node functions and graphs that invite a wrong answer: what is claimed must cover what happens.

Each node function is listed with effects that it really has; the analysis may claim more, not less.
Each graph is run as it is and in its parallel form; both must give the same.
"""

import asyncio
import collections
import copy
import functools
import inspect
import io
import itertools
import json
import operator
import re
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from langchain_core.messages import AIMessage, RemoveMessage
from langgraph.cache.memory import InMemoryCache
from langgraph.channels import EphemeralValue
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.managed import RemainingSteps
from langgraph.types import CachePolicy, Command, Overwrite, RetryPolicy, Send
from pydantic import AfterValidator, BaseModel, Field
from typing_extensions import TypedDict

from langgraph_parallel import ALL, infer_effects, parallelize
from langgraph_parallel.inference import infer


class State(TypedDict, total=False):
    a: str
    b: str
    c: str
    d: str
    n: int
    items: list[str]
    cfg: dict
    thing: Any
    rows: list[dict[str, int]]
    grid: list[list[dict[str, int]]]
    log: Annotated[list, operator.add]


class Probe:
    """An object each of whose uses leaves a trace."""

    def __init__(self):
        self.uses = []

    def use(self, *_args):
        self.uses.append(1)
        return len(self.uses)

    find = replace = index = count = get = encode = __len__ = use
    __call__ = __getitem__ = __add__ = __contains__ = use

    @property
    def next_id(self):
        return self.use()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self.use()

    def __iter__(self):
        self.use()
        return iter(())


KEY = "a"
WORLD: list = []
PROBE = Probe()
TABLE = {"probe": PROBE}
NUMBERS = itertools.count()
PAPER = io.StringIO()
CASES: list = []


def case(*, reads="", writes="", mutates="", world=False, routes=False):
    """Keep a node function with effects that it really has."""

    def keep(node):
        found = (node, set(reads.split()), set(writes.split()), set(mutates.split()), world, routes)
        CASES.append(pytest.param(*found, id=node.__name__))
        return node

    return keep


def covers(claimed, real) -> bool:
    return claimed is ALL or real <= set(claimed)


# -- an update that is filled through another name -------------------------------------------------


@case(writes="b c")
def update_nested_in_a_dict(state):
    out = {"b": "1"}
    box = {"out": out}
    box["out"]["c"] = "2"
    return out


@case(writes="b c")
def update_nested_in_a_dict_by_get(state):
    out = {"b": "1"}
    box = {"out": out}
    box.get("out")["c"] = "2"
    return out


@case(writes="b c")
def update_nested_in_a_dict_by_values(state):
    out = {"b": "1"}
    for inner in {"x": out}.values():
        inner["c"] = "2"
    return out


@case(writes="b c")
def update_nested_in_a_dict_comprehension(state):
    out = {"b": 1}
    box = {k: out for k in "x"}  # noqa: C420
    box["x"]["c"] = 1
    return out


@case(writes="b c")
def update_nested_in_a_dict_by_operator(state):
    out = {"b": 1}
    box = {"out": out}
    operator.getitem(box, "out")["c"] = 1
    return out


@case(writes="b c")
def update_picked_by_max(state):
    first, second = {"b": "1"}, {}
    picked = max(first, second, key=len)
    picked["c"] = "1"
    return first


@case(writes="b c")
def update_of_a_command(state):
    command = Command(update={"b": "1"})
    command.update["c"] = "2"
    return command


@case(writes="b c")
def update_shared_with_a_command(state):
    out = {"b": "1"}
    command = Command(update=out)
    out["c"] = "2"
    return command


@case(writes="b c")
def update_in_a_tuple(state):
    out = {"b": "1"}
    (alias, _) = (out, 1)
    alias["c"] = 1
    return out


@case(writes="b c")
def update_by_bound_method(state):
    out = {"b": "1"}
    fill = out.update
    fill(c=1)
    return out


@case(writes="b c")
def update_by_mapped_method(state):
    out = {"b": "1"}
    list(map(out.setdefault, ["c"]))
    return out


@case(writes="b c")
def update_by_partial(state):
    out = {"b": 1}
    functools.partial(dict.update, out)(c=1)
    return out


@case(writes="b c")
def update_by_inner_function(state):
    out = {}

    def put(key, value):
        out[key] = value

    put("b", 1)
    put(key="c", value=2)
    return out


@case(writes="b c")
def update_by_default_argument(state):
    out = {"b": 1}

    def put(value, target=out):
        target["c"] = value

    put(1)
    return out


@case(writes="b c")
def update_as_loop_target(state):
    out = {"b": 1}
    for out["c"] in (1, 2):
        pass
    return out


@case(writes="b c")
def update_through_chain_map(state):
    out = {"b": 1}
    collections.ChainMap(out)["c"] = 1
    return out


@case(writes="c")
def update_replaced_inside_raise(state):
    out = {"b": 1}
    try:
        raise ValueError(out := {"c": 1})
    except ValueError:
        pass
    return out


@case(writes="c")
def update_replaced_in_a_failing_return(state):
    out = {"b": 1}
    try:
        return int(out := {"c": 1})
    except TypeError:
        return out


@case(writes="c")
def update_replaced_in_finally(state):
    try:
        return {"b": 1}
    finally:
        return {"c": 1}  # noqa: B012, SIM107


@case(writes="b c")
def update_extended_in_finally(state):
    out = {"b": 1}
    try:
        return out
    finally:
        out["c"] = 1


@case(writes="c")
def key_from_an_exception(state):
    try:
        raise KeyError("c")
    except KeyError as error:
        return {error.args[0]: 1}


@case(writes="b c")
def list_of_updates(state):
    return [{"b": 1}, {"c": 2}]


@case(writes="b c", routes=True)
def list_of_commands(state):
    return [Command(update={"b": 1}), Command(update={"c": 1}, goto="x")]


@case(writes="c")
def command_of_pairs(state):
    return Command(update=[("c", 1)])


@case(writes="b c")
def pairs_to_dict(state):
    return dict(zip(["b", "c"], [1, 2], strict=True))


@case(writes="c")
def keywords_returned(state):
    return (lambda **kw: kw)(c=1)


@case(writes="c")
def recursive_result(state):
    def down(k):
        return {"c": 1} if k == 0 else down(k - 1)

    return down(2)


# -- which function, which name --------------------------------------------------------------------


def _getter(key):
    return lambda state: state[key]


@case(reads="a c")
def one_of_two_closures(state):
    get = _getter("a") if state["n"] else _getter("c")
    return {"b": get(state)}


@case(writes="b c")
def one_of_two_writers(state):
    def make(key):
        return lambda: {key: 1}

    write = make("b") if state["n"] else make("c")
    return write()


@case(reads="a c")
def closures_with_defaults(state):
    if state["n"]:  # noqa: SIM108
        get = lambda k="a": state[k]  # noqa: E731
    else:
        get = lambda k="c": state[k]  # noqa: E731
    return {"b": get()}


@case(reads="a c")
def closures_of_a_loop(state):
    getters = []
    for key in ("a", "c"):

        def get(key=key):
            return state[key]

        getters.append(get)
    return {"b": sorted(getters, key=lambda g: g())}


@case(reads="a")
def global_behind_a_comprehension_variable(state):
    names = [KEY for KEY in ("b",)]  # noqa: C416
    get = lambda: state[KEY]  # noqa: E731
    return {"c": get(), "b": names}


@case(reads="c")
def late_bound_generator(state):
    key = "a"
    found = (state[key] for _ in (1,))
    key = "c"
    return {"b": list(found)}


@case(reads="c")
def walrus_out_of_a_comprehension(state):
    key = "a"
    [(key := x) for x in ("b", "c")]
    return {"n": state[key]}


@case(reads="c")
def match_binds_before_a_failing_guard(state):
    key = "a"
    match "c":
        case key if state["n"]:
            return {}
        case _:
            return {"b": state[key]}


@case(reads="c")
def closure_kept_in_a_dict(state):
    table = {"x": lambda _: state["c"]}
    return {"b": sorted([1, 2], key=table["x"])}


@case(reads="c")
def shadowed_builtin(state, len=lambda s: s["c"]):
    return {"b": len(state)}


@case(mutates="items")
def shadowed_by_an_inner_function(state):
    def sorted(_):
        state["items"].append(1)

    sorted(1)


@case(reads="c")
def positional_only_and_keyword_of_one_name(state):
    def pick(a, /, **kw):
        return kw["a"]

    return {"b": pick(1, a=state["c"])}


@case(reads="c")
def star_parameter(*args):
    return {"b": args[0]["c"]}


# -- reads that do not look like reads -------------------------------------------------------------


@case(reads="a b c")
def truth_of_the_state(state):
    return {"b": "full" if state else "empty"}


@case(reads="a b c")
def negated_state(state):
    return {"b": not state}


@case(reads="a")
def deletion_tells_presence(state):
    try:
        del state["a"]
    except KeyError:
        return {"b": "none"}
    return {"b": "had"}


@case(reads="a")
def deletion_by_a_read_key(state):
    out = {"b": 1, "c": 2}
    del out[state["a"]]
    return out


@case(reads="items", mutates="items")
def deletion_by_a_popped_key(state):
    table = {"y": 1}
    del table[state["items"].pop()]
    return {"b": 1}


@case(reads="a c")
def format_map(state):
    return {"b": "{a}{c}".format_map(state)}


@case(reads="c")
def percent_format(state):
    return {"b": "%(c)s" % state}  # noqa: UP031


@case(reads="c")
def dunder_getitem(state):
    return {"b": state.__getitem__("c")}


@case(reads="c")
def unbound_dict_get(state):
    return {"b": dict.get(state, "c")}


@case(reads="a c")
def item_getter(state):
    return {"b": operator.itemgetter("a", "c")(state)}


@case(reads="a c")
def mapped_getter(state):
    return {"b": list(map(state.get, ["a", "c"]))}


@case(reads="c")
def copied_type(state):
    return {"b": type(state)(state)["c"]}


@case(reads="a c")
async def async_comprehension(state):
    async def get(key):
        return state[key]

    return {"b": [await get(key) for key in ("a", "c")]}


# -- changes in place ------------------------------------------------------------------------------


@case(mutates="items")
def stored_under_another_key(state):
    state["other"] = state["items"]
    state["other"][0] = "z"


@case(mutates="items")
def stored_under_another_key_and_augmented(state):
    state["other"] = state["items"]
    state["other"] += ["z"]


@case(mutates="items")
def stored_under_another_key_and_cut(state):
    state.update(other=state["items"])
    del state["other"][0]


@case(mutates="items")
def stored_under_a_key_for_text(state):
    state["a"] = state["items"]
    state["a"].append("z")


@case(mutates="items", world=False)
def stored_in_a_copy(state):
    own = state.copy()
    own["q"] = own["items"]
    own["q"][0] = 1


@case(mutates="items")
def start_of_an_empty_sum(state):
    sum([], state["items"]).append("z")


@case(mutates="grid")
def flattened_by_sum(state):
    rows = sum(state["grid"], [])  # noqa: RUF017
    rows[0]["s"] = 5


@case(mutates="thing")
def elements_of_a_frozenset(state):
    for one in frozenset(state["thing"]):
        one.q = 1


@case(mutates="items")
def bound_append_mapped(state):
    list(map(state["items"].append, ["z"]))


@case(mutates="items")
def bound_append_as_sort_key(state):
    sorted(["q"], key=state["items"].append)


@case(mutates="items")
def bound_remove_as_filter(state):
    list(filter(state["items"].remove, ["x"]))


@case(mutates="cfg")
def bound_update_in_any(state):
    any(map(state["cfg"].update, [{"q": 1}]))


@case(mutates="items")
def closure_kept_in_a_dict_appends(state):
    table = {"x": lambda v: state["items"].append(v)}
    list(map(table["x"], "ab"))


@case(mutates="items")
def swapped_names(state):
    x, y = state["items"], state["cfg"]
    x, y = y, x
    y.append(1)


@case(mutates="rows")
def pattern_binds_an_element(state):
    match [state["rows"]]:
        case [[{"s": _} as row, *_]]:
            row["s"] = 9


@case(mutates="rows")
def rest_of_an_unpacking(state):
    _, *rest = state["rows"]
    rest[0]["s"] = 8


@case(mutates="rows")
def elements_of_zip(state):
    for row, value in zip(state["rows"], [1, 2], strict=True):
        row["s"] = value


@case(mutates="rows")
def picked_by_max(state):
    max(state["rows"], key=lambda r: r["s"])["s"] = 44


@case(mutates="rows")
def elements_of_a_deque(state):
    collections.deque(state["rows"]).popleft()["s"] = 4


@case(mutates="items")
def attribute_of_a_namespace(state):
    box = types.SimpleNamespace(items=state["items"])
    box.items[0] = 1


@case(mutates="items")
def callback_of_re_sub(state):
    re.sub("c", lambda m: state["items"].append(1) or "x", "c")


@case(mutates="items")
def callback_of_json(state):
    json.dumps({1}, default=lambda o: state["items"].append(1) or 1)


@case(mutates="items")
def generator_consumed_late(state):
    x = []
    work = (x.append(1) for _ in (1,))
    x = state["items"]
    list(work)


@case(mutates="rows")
def reduce_into_the_first(state):
    functools.reduce(lambda total, row: total.update(row) or total, state["rows"])


@case(mutates="rows")
def elements_of_a_shallow_copy(state):
    copy.copy(state["rows"])[0]["s"] = 1


@case(mutates="items")
def slice_assignment(state):
    state["items"][1:] = ["q"]


@case(mutates="thing")
def iterator_in_the_state(state):
    return {"b": [x for x in state["thing"]]}  # noqa: C416


@case(mutates="thing")
def text_named_method_of_an_object(state):
    return {"b": state["thing"].replace("x", "y")}


@case(mutates="thing")
def callable_in_the_state_as_key(state):
    return {"b": sorted([1, 2], key=state["thing"])}


# -- the world outside -----------------------------------------------------------------------------


@case(world=True)
def property_with_an_effect(state):
    return {"b": PROBE.next_id}


@case(world=True)
def computed_attribute_with_an_effect(state):
    return {"b": PROBE.anything}


@case(world=True)
def index_with_an_effect(state):
    return {"b": PROBE["x"]}


@case(world=True)
def iteration_with_an_effect(state):
    return {"b": [x for x in PROBE]}  # noqa: C416


@case(world=True)
def operator_with_an_effect(state):
    return {"b": PROBE + 1}


@case(world=True)
def membership_with_an_effect(state):
    return {"b": 1 in PROBE}


@case(world=True)
def length_with_an_effect(state):
    return {"b": len(PROBE)}


@case(world=True)
def text_named_method_of_a_table_entry(state):
    return {"b": TABLE["probe"].find()}


@case(world=True)
def table_entry_as_callback(state):
    return {"b": list(map(TABLE["probe"].use, [1]))}


@case(world=True)
def table_function_as_callback(state):
    return {"b": list(map(TABLE["probe"], [1]))}


@case(world=True)
def bound_append_of_a_global(state):
    list(map(WORLD.append, [1]))


@case(world=True)
def global_iterator_in_a_loop(state):
    for number in NUMBERS:
        return {"b": number}
    return None


@case(world=True)
def global_iterator_zipped(state):
    return {"b": list(zip("x", NUMBERS, strict=False))}


@case(world=True)
def print_to_a_file(state):
    print("x", file=PAPER)


@case(world=True)
def global_kept_in_the_state(state):
    state["other"] = WORLD
    state["other"][0:0] = [1]


@case(world=True)
def global_start_of_a_sum(state):
    sum([], WORLD).append(1)


@case(world=True)
def global_by_local_alias(state):
    alias = WORLD
    alias += [1]


@case(world=True)
def global_in_a_dict(state):
    {"x": WORLD}["x"].append(1)


@case(world=True)
def global_as_default(state, log=WORLD):
    log.append(1)


@case(world=True)
def global_by_getattr(state):
    getattr(WORLD, "append")(1)  # noqa: B009


@case(world=True)
def global_by_method_caller(state):
    operator.methodcaller("append", 1)(WORLD)


@case(world=True)
def context_object_with_a_data_like_method(state, runtime):
    return {"b": runtime.context.tracker.count()}


@case(world=True)
def configured_object_with_a_data_like_method(state, config):
    config["configurable"]["search"].index("x")


@case(world=True)
def context_method_as_callback(state, runtime):
    return {"b": list(map(runtime.context.post, [1]))}


@case(world=True)
def store_by_alias(state, *, store):
    put = store.put
    put(("x",), "k", {})


class Agent:
    """A node made of methods that keep records on the class."""

    seen: tuple = ()
    log: list = []  # noqa: RUF012

    def by_type(self, state):
        type(self).log.append(1)

    def by_type_assignment(self, state):
        type(self).seen = (1,)

    def by_class(self, state):
        self.__class__.seen = (1,)

    @classmethod
    def by_classmethod(cls, state):
        cls.log.append(1)

    def by_self(self, state):
        self.log.append(1)

    def __call__(self, state):
        self.last = state
        return {"b": self._later()}

    def _later(self):
        return self.last["c"]


for _name in ("by_type", "by_type_assignment", "by_class", "by_classmethod", "by_self"):
    case(world=True)(getattr(Agent(), _name))


class Ticket:
    """A descriptor with an effect, which looks like a method to `inspect.isroutine`."""

    def __get__(self, owner, kind=None):
        WORLD.append(1)
        return "x"


class Desk:
    ticket = Ticket()

    @functools.cached_property
    def first(self):
        WORLD.append(1)
        return "x"

    @functools.singledispatchmethod
    def serve(self, state):
        WORLD.append(1)
        return {"b": "x"}

    push = functools.partialmethod(serve)


DESK = Desk()


@case(writes="b", world=True)
def descriptor_with_an_effect(state):
    return {"b": DESK.ticket}


@case(writes="b", world=True)
def cached_property_with_an_effect(state):
    return {"b": DESK.first}


@case(writes="b", world=True)
def dispatched_method(state):
    return DESK.serve(state)


@case(writes="b", world=True)
def partial_method(state):
    return DESK.push(state)


@case(reads="a", writes="b")
def state_through_its_own_frame(state):
    return {"b": sys._getframe().f_locals["state"]["a"]}


@case(reads="a", writes="b")
def state_through_the_current_frame(state):
    return {"b": inspect.currentframe().f_locals["state"]["a"]}


@case(writes="b", world=True)
def target_of_a_loop(state):
    for DESK.count in range(2):
        pass
    return {"b": "x"}


@case(writes="b", world=True)
def exception_with_an_effect(state):
    class Failure(Exception):
        def __init__(self):
            WORLD.append(1)

    try:
        raise Failure
    except Failure:
        return {"b": "x"}


@case(writes="b", world=True)
def factory_of_a_default(state):
    collections.defaultdict(lambda: WORLD.append(1))["x"]
    return {"b": "x"}


@case(writes="b", world=True)
def missing_key_with_an_effect(state):
    class Book(dict):
        def __missing__(self, key):
            WORLD.append(key)

    Book()["x"]
    return {"b": "x"}


@case(reads="a", writes="b", world=True)
def made_by_a_metaclass(state):
    class Kind(type):
        def __call__(cls, given):
            WORLD.append(given["a"])

    class Thing(metaclass=Kind):
        pass

    Thing(state)
    return {"b": "x"}


@case(reads="a c", writes="b", world=True)
async def state_in_a_task_group(state):
    async def look(given):
        WORLD.append(given["a"])
        return given["c"]

    async with asyncio.TaskGroup() as group:
        task = group.create_task(look(state))
    return {"b": task.result()}


@pytest.mark.parametrize(("node", "reads", "writes", "mutates", "world", "routes"), CASES)
def test_claim_covers_what_the_node_does(node, reads, writes, mutates, world, routes):
    claimed = infer_effects(node, State)
    assert covers(claimed.reads, reads)
    assert covers(claimed.writes, writes)
    # An unknown contact keeps the node in its place, which covers a change in place too.
    assert covers(claimed.mutates, mutates) or "unknown" in claimed.external
    assert not world or claimed.external & {"write", "unknown"} or claimed.changes
    assert not routes or claimed.control & {"goto", "send"}


def test_state_kept_on_self_is_read_later():
    claimed = infer_effects(Agent(), State)
    assert covers(claimed.reads, {"c"})
    assert claimed.external & {"write", "unknown"}


class Record(BaseModel):
    """A state whose own methods do not do what a mapping's would."""

    a: str = ""
    b: str = ""
    c: str = ""

    def get(self, _key):
        return self.a

    def update(self):
        WORLD.append(1)

    def __getitem__(self, _key):
        return self.a

    def __contains__(self, _key):
        return bool(self.a)

    def __bool__(self):
        return bool(self.a)

    @property
    def both(self):
        return self.a + self.b

    def method(self):
        return self.a


@pytest.mark.parametrize(
    "node",
    [
        lambda state: {"b": state.get("c")},
        lambda state: {"b": state["c"]},
        lambda state: {"b": "c" in state},
        lambda state: {"b": "y" if state else "n"},
        lambda state: {"b": state.both},
        lambda state: {"b": state.method()},
        lambda state: {"b": getattr(state, "a")},  # noqa: B009
    ],
    ids=["get", "item", "contains", "bool", "property", "method", "getattr"],
)
def test_methods_of_the_state_class_are_not_taken_for_those_of_a_dict(node):
    assert covers(infer_effects(node, Record).reads, {"a"})


def test_update_method_of_the_state_class_may_touch_the_world():
    found = infer_effects(lambda state: {"b": state.update()}, Record)
    assert found.changes


def test_a_new_object_of_the_state_class_writes_every_field_and_looks_at_none():
    found = infer_effects(lambda state: Record(b="1"), Record)
    assert (found.reads, found.writes) == (frozenset(), {"a", "b", "c"})


@pytest.mark.parametrize(
    "value",
    [
        lambda: Overwrite([]),
        lambda: {"__overwrite__": []},
        lambda: {"type": "__overwrite__", "value": []},
        lambda: {"__overwrite__": []}.copy(),
        lambda: copy.deepcopy({"__overwrite__": []}),
        lambda: {"x": {"__overwrite__": []}}.pop("x"),
        lambda: dict(zip(["__overwrite__"], [[]], strict=True)),
    ],
)
def test_no_spelling_of_overwrite_is_taken_for_an_operand(value):
    assert "log" not in infer_effects(lambda state: {"log": value()}, State).folds


def test_overwrite_in_a_list_of_pairs_is_not_taken_for_an_operand():
    def node(state):
        if state["n"]:
            return {"log": ["1"]}
        return Command(update=[("log", Overwrite([]))])

    assert "log" not in infer_effects(node, State).folds


class _Proxy:
    def __getattr__(self, name):
        msg = "no context is open"
        raise RuntimeError(msg)

    def __call__(self, *_args):
        return "v"


class _Uncomparable:
    __hash__ = None

    def __eq__(self, other):
        msg = "the truth of a comparison is ambiguous"
        raise ValueError(msg)

    def __call__(self, *_args):
        return "v"


class _Classless:
    @property
    def __class__(self):
        msg = "no context is open"
        raise RuntimeError(msg)

    def __call__(self, *_args):
        return "v"


PROXY, UNCOMPARABLE, CLASSLESS = _Proxy(), _Uncomparable(), _Classless()


@pytest.mark.parametrize(
    "node",
    [
        lambda state: {"b": PROXY(1)},
        lambda state: {"b": list(map(PROXY, [1]))},
        lambda state: {"b": PROXY.name},
        lambda state: {"b": UNCOMPARABLE(1)},
        lambda state: {"b": UNCOMPARABLE[1]},
        lambda state: {"b": CLASSLESS(1)},
        lambda state: {"b": CLASSLESS.name},
    ],
)
def test_objects_that_raise_when_looked_at_do_not_stop_the_analysis(node, monkeypatch):
    monkeypatch.setattr(infer, "RAISES_OWN_ERRORS", False)
    assert covers(infer_effects(node, State).writes, {"b"})


# -- graphs ----------------------------------------------------------------------------------------


def chain(schema, *nodes, **options) -> StateGraph:
    """Return nodes in a row; a node is a function or `(name, function, settings)`."""
    graph = StateGraph(schema, **options)
    previous = START
    for node in nodes:
        name, function, settings = node if isinstance(node, tuple) else (node.__name__, node, {})
        graph.add_node(name, function, **settings)
        graph.add_edge(previous, name)
        previous = name
    return graph.add_edge(previous, END)


def named(name, function, **settings):
    return name, function, settings


def outcome(graph, given, config=None, **compile_options):
    """Return what a run gives, or its error; nodes run on one event loop, as they wake."""
    compiled = graph.compile(**compile_options)
    try:
        return asyncio.run(compiled.ainvoke(copy.deepcopy(given), config))
    except Exception as error:
        return type(error).__name__, str(error)


def agree(make: Callable[[], StateGraph], given, config=None, reset=lambda: None):
    reset()
    expected = outcome(make(), given, config)
    reset()
    assert outcome(parallelize(make()), given, config) == expected


async def _turns():
    for _ in range(5):
        await asyncio.sleep(0)


def give_a(state):
    return {"a": "A"}


def give_b(state):
    return {"b": "B"}


def give_c(state):
    return {"c": state.get("a", "-") + state.get("b", "-")}


class Narrow(TypedDict, total=False):
    a: str


def full_or_empty(state: Narrow):
    return {"b": "full" if state else "empty"}


def late_key(state):
    out = {"b": "1"}
    box = {"out": out}
    box["out"]["a"] = "late"
    return out


def read_a(state):
    return {"c": state.get("a", "none")}


def pick_writer(state):
    def make(key):
        return lambda: {key: "v"}

    write = make("b") if state["n"] > 5 else make("a")
    return write()


def read_by_shadowed_global(state):
    names = [KEY for KEY in ("b",)]  # noqa: C416
    get = lambda: state.get(KEY, "none")  # noqa: E731
    return {"c": get(), "d": names[0]}


def command_filled_late(state):
    command = Command(update={"b": "1"})
    command.update["a"] = "late"
    return command


def table_of_readers(state):
    table = {"x": lambda _: len(state.get("a", ""))}
    return {"c": str(list(map(table["x"], [1])))}


def reset_by_pairs(state):
    if state["n"] > 9:
        return {"log": ["no"]}
    return Command(update=[("log", Overwrite(["reset"]))])


def log_after(state):
    return {"log": ["after"]}


@pytest.mark.parametrize(
    "nodes",
    [
        (give_a, full_or_empty),
        (late_key, read_a),
        (late_key, give_a),
        (pick_writer, read_a),
        (give_a, read_by_shadowed_global),
        (command_filled_late, read_a),
        (give_a, table_of_readers),
        (give_a, deletion_tells_presence),
        (named("first", reset_by_pairs), named("second", log_after)),
    ],
    ids=lambda nodes: "-".join(n[0] if isinstance(n, tuple) else n.__name__ for n in nodes),
)
def test_missed_effect_changes_no_answer(nodes):
    agree(lambda: chain(State, *nodes), {"n": 1, "log": ["start"]})


async def read_items_slowly(state):
    await _turns()
    return {"b": str(state["items"])}


async def append_by_map(state):
    list(map(state["items"].append, ["z"]))


async def append_to_a_sum(state):
    sum([], state["items"]).append("z")


async def store_and_change(state):
    state["other"] = state["items"]
    state["other"][0] = "z"


async def pop_in_a_deletion(state):
    table = {"y": 1}
    del table[state["items"].pop()]


async def cut_a_slice(state):
    del state["items"][:]


@pytest.mark.parametrize(
    "change", [append_by_map, append_to_a_sum, store_and_change, pop_in_a_deletion, cut_a_slice]
)
def test_change_in_place_is_not_seen_by_an_earlier_node(change):
    agree(lambda: chain(State, read_items_slowly, change), {"items": ["y"]})


def _ordered_uses():
    """Return pairs of nodes that use one thing outside; the first takes longer."""

    def pair(use):
        async def slow(state):
            await _turns()
            return {"a": str(use())}

        async def fast(state):
            return {"b": str(use())}

        return slow, fast

    async def slow_property(state):
        await _turns()
        return {"a": str(PROBE.next_id)}

    async def fast_property(state):
        return {"b": str(PROBE.next_id)}

    async def slow_table(state):
        await _turns()
        return {"a": str(list(map(TABLE["probe"].use, [1])))}

    async def fast_table(state):
        return {"b": str(list(map(TABLE["probe"].use, [1])))}

    async def slow_iterator(state):
        await _turns()
        return {"a": str([x for x in state["thing"]])}  # noqa: C416

    async def fast_iterator(state):
        return {"b": str([x for x in state["thing"]])}  # noqa: C416

    return {
        "call": pair(PROBE.use),
        "property": (slow_property, fast_property),
        "callback": (slow_table, fast_table),
        "iterator": (slow_iterator, fast_iterator),
    }


@pytest.mark.parametrize("kind", ["call", "property", "callback", "iterator"])
def test_uses_of_a_stateful_thing_keep_their_order(kind):
    def answer(graph):
        PROBE.uses.clear()
        found = asyncio.run(graph.compile().ainvoke({"thing": iter([1, 2])}))
        return found["a"], found["b"]

    graph = chain(State, *_ordered_uses()[kind])
    assert answer(parallelize(graph)) == answer(graph)


class Guarded(BaseModel):
    a: str = ""
    b: str = ""
    n: int = Field(default=0, ge=0)


def _refuse(value):
    if value == "A":
        msg = "refused"
        raise ValueError(msg)
    return value


class Validated(BaseModel):
    b: str = ""
    a: Annotated[str, AfterValidator(_refuse)] = ""


@pytest.mark.parametrize(
    ("schema", "write"),
    [
        (Guarded, lambda state: {"n": -5}),
        (Validated, lambda state: {"a": "A"}),
    ],
    ids=["constraint", "validator"],
)
def test_state_that_the_next_node_would_refuse_is_refused(schema, write):
    def failure(graph):
        found = outcome(graph, {"b": ""})
        return found[0] if isinstance(found, tuple) else found

    graph = chain(schema, named("write", write), give_b)
    assert failure(parallelize(graph)) == failure(graph)


def _handled(goto=None):
    def handler(state):
        return Command(update={"c": "handled"}, goto=goto) if goto else {"c": "handled"}

    def fail(state):
        msg = "x"
        raise ValueError(msg)

    graph = StateGraph(State)
    graph.set_node_defaults(error_handler=handler)
    return _row(graph, give_a=give_a, fail=fail, give_b=give_b, last=lambda s: {"d": "D"})


def _row(graph, **nodes):
    previous = START
    for name, function in nodes.items():
        graph.add_node(name, function)
        graph.add_edge(previous, name)
        previous = name
    return graph


@pytest.mark.parametrize("goto", [None, "last"])
@pytest.mark.parametrize("compiled", [False, True])
def test_default_error_handler_decides_what_follows(goto, compiled):
    expected = _handled(goto).compile().invoke({"n": 1})
    graph = _handled(goto)
    found = parallelize(graph.compile()) if compiled else parallelize(graph).compile()
    assert found.invoke({"n": 1}) == expected


def test_handler_of_one_node_decides_what_follows():
    def make():
        graph = StateGraph(State)
        graph.add_node("fail", lambda s: [][1], error_handler=lambda s: {"c": "handled"})
        graph.add_node(give_a)
        graph.add_node(give_b)
        graph.add_edge(START, "fail").add_edge("fail", "give_a").add_edge("give_a", "give_b")
        return graph

    agree(make, {"n": 1})


def test_cached_node_is_not_served_from_another_input():
    def make():
        return chain(
            State,
            named("count", lambda s: {"a": str(len(WORLD))}),
            named("cached", lambda s: {"b": str(len(WORLD))}, cache_policy=CachePolicy()),
        )

    def answers(graph):
        compiled = graph.compile(cache=InMemoryCache())
        WORLD.clear()
        found = []
        for _ in range(3):
            WORLD.append(1)
            found.append(compiled.invoke({"n": 1}))
        return found

    assert answers(parallelize(make())) == answers(make())


class Counted(State):
    left: RemainingSteps


class Brief(State):
    note: Annotated[str, EphemeralValue]


def _loop(schema, route):
    graph = StateGraph(schema)
    graph.add_node("head", lambda s: {"d": "h"})
    graph.add_node(give_a)
    graph.add_node(give_b)
    graph.add_node("count", lambda s: {"n": s["n"] + 1})
    graph.add_node("tail", lambda s: {"c": "c"})
    graph.add_edge(START, "head").add_edge("head", "give_a").add_edge("give_a", "give_b")
    graph.add_edge("give_b", "count").add_edge("count", "tail")
    graph.add_conditional_edges("tail", route)
    return graph


def by_steps(state) -> Literal["head", "__end__"]:
    return END if state["left"] < 8 else "head"


def by_count(state) -> Literal["head", "__end__"]:
    return "head" if state["n"] < 4 else END


def by_note(state) -> Literal["head", "__end__"]:
    return "head" if state.get("note") else END


@pytest.mark.parametrize(
    ("schema", "route"), [(Counted, by_steps), (State, by_count), (Brief, by_note)]
)
def test_router_sees_the_same_superstep(schema, route):
    agree(lambda: _loop(schema, route), {"n": 0}, {"recursion_limit": 30})


def test_node_sees_its_original_step_number():
    def step(state, config):
        return {"n": config["metadata"]["langgraph_step"]}

    agree(lambda: chain(State, give_a, step, give_b), {"n": 0})


@pytest.mark.parametrize(
    "graph",
    [
        StateGraph(State).add_node(give_a),
        StateGraph(State).add_edge(START, "nowhere"),
        StateGraph(State).add_node(give_a).add_edge(START, "give_a").add_edge("give_a", "nowhere"),
    ],
    ids=["no entry", "no such entry", "no such target"],
)
def test_unfinished_graph_fails_when_it_is_compiled_and_not_before(graph):
    with pytest.raises(ValueError, match=r"."):
        parallelize(graph).compile()


def test_other_use_of_the_metadata_key_is_ignored_or_refused_with_an_own_error():
    graph = StateGraph(State).add_node("a", give_a, metadata={"langgraph_parallel": "yes"})
    assert parallelize(graph.add_edge(START, "a")).compile().invoke({"n": 1})["a"] == "A"


def _upsert(number, text="t"):
    return lambda state: {"messages": [AIMessage(text, id=number)]}


@pytest.mark.parametrize(
    "nodes",
    [
        {"a": _upsert("1"), "b": _upsert("2")},
        {"b": _upsert("1"), "a": _upsert("2")},
        {"a": _upsert("1"), "b": lambda s: {"messages": [RemoveMessage(id="1")]}},
        {"b": _upsert("1"), "a": lambda s: {"messages": [RemoveMessage(id="1")]}},
        {"a": lambda s: {"messages": [RemoveMessage(id="__remove_all__")]}, "b": _upsert("1")},
        {"a": _upsert("1"), "b": lambda s: {"messages": [RemoveMessage(id="__remove_all__")]}},
        {"a": _upsert("1"), "b": _upsert("1", "changed")},
        {"b": _upsert("1"), "a": _upsert("1", "changed")},
    ],
)
def test_messages_fold_in_program_order(nodes):
    def make():
        return _row(StateGraph(MessagesState), **nodes)

    def texts(graph):
        given = [AIMessage("start", id="0")]
        return [m.text for m in graph.compile().invoke({"messages": given})["messages"]]

    assert texts(parallelize(make())) == texts(make())


@pytest.mark.parametrize(
    "names",
    ["abc", "zam", "cba", ["a", "a!", "a b"], ["a!", "a", "B"], ["a+b", "c", "a", "b+c"]],
)
def test_lists_fold_in_program_order_whatever_the_names(names):
    rows = {name: (lambda state, k=name: {"log": [k]}) for name in names}
    agree(lambda: _row(StateGraph(State), **rows), {"log": ["start"]})


def test_reducer_that_is_not_associative_folds_in_program_order():
    class Fold(TypedDict, total=False):
        v: Annotated[int, lambda total, x: (total or 0) * 2 + x]

    rows = {name: (lambda state, k=k: {"v": k}) for k, name in enumerate("azmB")}
    agree(lambda: _row(StateGraph(Fold), **rows), {"v": 1})


def _routed(route, ends=None):
    graph = _row(StateGraph(State), give_a=give_a, give_b=give_b, give_c=give_c)
    graph.add_node("x", lambda s: {"d": "x"})
    graph.add_node("y", lambda s: {"n": 9})
    graph.add_edge("x", "y")
    return graph.add_conditional_edges("give_c", route, ends)


@pytest.mark.parametrize(
    ("route", "ends"),
    [
        (lambda s: "x", None),
        (lambda s: s["a"].replace("A", "x"), None),
        (lambda s: ["x", "y"], None),
        (lambda s: [Send("x", s)], None),
        (lambda s: True, {True: "x", False: END}),
        (lambda s: "give_b" if s.get("d") else END, None),
    ],
    ids=["name", "computed", "list", "send", "map", "into the row"],
)
def test_routers_lead_to_the_same_answer(route, ends):
    agree(lambda: _routed(route, ends), {"n": 1})


@pytest.mark.parametrize("target", ["give_a", "give_b", "give_c"])
@pytest.mark.parametrize("annotated", [False, True])
def test_command_into_the_row_leads_to_the_same_answer(target, annotated):
    def jump(state):
        return Command(update={"n": 1}, goto=target)

    if annotated:
        jump.__annotations__["return"] = Command[Literal["give_b"]]

    def make():
        graph = StateGraph(State).add_node(jump).add_node(give_a).add_node(give_b).add_node(give_c)
        graph.add_edge(START, "jump").add_edge("give_a", "give_b")
        return graph.add_edge("give_b", "give_c")

    agree(make, {"n": 0})


def test_retries_run_the_node_again_and_no_other():
    def flaky(state):
        PROBE.use()
        if len(PROBE.uses) < 3:
            msg = "x"
            raise ConnectionError(msg)
        return {"a": "A"}

    policy = RetryPolicy(initial_interval=0.0, jitter=False, max_attempts=4)
    agree(
        lambda: chain(State, give_b, named("flaky", flaky, retry_policy=policy), give_c),
        {"n": 1},
        reset=PROBE.uses.clear,
    )


@dataclass
class Plain:
    a: str = ""
    b: str = ""
    c: str = ""


def test_dataclass_returned_as_update():
    def node(state: Plain):
        return Plain(b="B")

    agree(lambda: chain(Plain, give_a, node, named("c", lambda s: {"c": s.a + s.b})), {"a": ""})


def test_private_keys_and_narrow_schemas():
    class Input(TypedDict, total=False):
        n: int

    class Secret(TypedDict, total=False):
        secret: str

    def tell(state: State) -> Secret:
        return {"secret": "S"}

    def use(state: Secret) -> State:
        return {"b": state.get("secret", "?")}

    options = {"input_schema": Input, "output_schema": Narrow}
    agree(lambda: chain(State, tell, give_a, use), {"n": 1})
    agree(lambda: chain(State, tell, give_a, use, give_c, **options), {"n": 1})


def test_parallelize_again_changes_nothing():
    graph = chain(State, give_a, give_b, give_c)
    expected = graph.compile().invoke({"n": 1})
    assert parallelize(parallelize(graph)).compile().invoke({"n": 1}) == expected
    assert parallelize(parallelize(graph).compile()).invoke({"n": 1}) == expected
    assert parallelize(graph.compile()).with_config(tags=["t"]).copy().invoke({"n": 1}) == expected
    assert copy.deepcopy(parallelize(graph)).compile().invoke({"n": 1}) == expected
    outer = StateGraph(State).add_node("inner", parallelize(graph).compile())
    assert outer.add_edge(START, "inner").compile().invoke({"n": 1}) == expected


@pytest.mark.parametrize("mode", ["values", "updates", "debug", "tasks", "messages", "custom"])
def test_every_stream_mode_works(mode):
    graph = parallelize(chain(State, give_a, give_b, give_c)).compile()
    parts = list(graph.stream({"n": 1}, stream_mode=mode))
    assert (mode in ("messages", "custom")) == (not parts)


def test_drawing_shows_every_node():
    drawn = parallelize(chain(State, give_a, give_b, give_c)).compile().get_graph().nodes
    assert {"give_a", "give_b", "give_c"} <= set(drawn)
