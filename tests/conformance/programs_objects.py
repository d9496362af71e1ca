"""Programs whose nodes meet in an object that they share."""

import collections
import collections.abc
import dataclasses
import itertools
import json
from typing import ClassVar

from programs import chain, pause, program
from pydantic import BaseModel


class Counter:
    calls = 0

    def ask(self, text):
        pause()
        self.calls += 1
        return text.upper()


# -- a shared object as default -------------------------------------------------------------------


@program("default object")
def of_a_dataclass():
    shared = Counter()

    @dataclasses.dataclass
    class Order:
        item: str
        counter: Counter = shared

    def buy(state):
        pause()
        order = Order("tea")
        order.counter.calls += 1
        return {"a": order.counter.calls}

    def sell(state):
        order = Order("cup")
        order.counter.calls += 1
        return {"b": order.counter.calls}

    return chain(buy, sell)


@program("default object")
def of_a_class_variable():
    class Order:
        log: ClassVar[dict] = {}

    def buy(state):
        pause()
        Order().log["tea"] = 1
        return {"a": 1}

    def show(state):
        return {"b": sorted(Order().log)}

    return chain(buy, show)


@program("default object")
def of_a_pydantic_model():
    shared = Counter()

    class Order(BaseModel, arbitrary_types_allowed=True):
        counter: Counter = shared

    def buy(state):
        pause()
        Order().counter.calls = 3
        return {"a": 1}

    def show(state):
        return {"b": Order().counter.calls}

    return chain(buy, show)


@program("default object")
def of_a_function():
    def remember(item=None, seen=[]):  # noqa: B006 (the fault is the point)
        if item:
            seen.append(item)
        return len(seen)

    def buy(state):
        pause()
        return {"a": remember("tea")}

    def show(state):
        return {"b": remember()}

    return chain(buy, show)


@program("default object")
def of_a_singleton_metaclass():
    class Single(type):
        _made: ClassVar[dict] = {}

        def __call__(cls):
            return cls._made.setdefault(cls, super().__call__())

    class Order(metaclass=Single):
        def __init__(self):
            self.lines = []

    def buy(state):
        pause()
        Order().lines.append("tea")
        return {"a": 1}

    def show(state):
        return {"b": list(Order().lines)}

    return chain(buy, show)


# -- a missing key --------------------------------------------------------------------------------


@program("missing key")
def word_numbers():
    numbers = collections.defaultdict(lambda: len(numbers))

    def first(state):
        pause()
        return {"a": numbers["cat"]}

    def second(state):
        return {"b": numbers["dog"]}

    return chain(first, second)


@program("missing key")
def of_a_dict_of_ones_own():
    class Cache(dict):
        made = 0

        def __missing__(self, key):
            self.made += 1
            return self.made

    cache = Cache()

    def first(state):
        pause()
        return {"a": cache["cat"]}

    def second(state):
        return {"b": cache["dog"]}

    return chain(first, second)


@program("missing key")
def is_then_looked_for():
    groups = collections.defaultdict(list)

    def first(state):
        pause()
        return {"a": len(groups["cat"])}

    def second(state):
        return {"b": "cat" in groups}

    return chain(first, second)


@program("missing key")
def of_a_factory_object():
    numbers = itertools.count(5)
    ids = collections.defaultdict(numbers.__next__)

    def first(state):
        pause()
        return {"a": ids["cat"]}

    def second(state):
        return {"b": ids["dog"]}

    return chain(first, second)


# -- an attribute of a service --------------------------------------------------------------------


@program("attribute of a service")
def counts_calls():
    service = Counter()

    def answer(state):
        return {"a": service.ask("hello")}

    def bill(state):
        return {"b": f"{service.calls} calls"}

    return chain(answer, bill)


@program("attribute of a service")
def keeps_the_last_answer():
    class Service:
        last = None

        def ask(self, text):
            pause()
            self.last = text.upper()

    service = Service()

    def answer(state):
        service.ask("hello")
        return {"a": 1}

    def repeat(state):
        return {"b": [service.last, getattr(service, "last")]}  # noqa: B009

    return chain(answer, repeat)


@program("attribute of a service")
def set_by_a_helper():
    service = Counter()

    def note(target, value):
        target.calls = value

    def answer(state):
        pause()
        note(service, 7)
        return {"a": 1}

    def bill(state):
        return {"b": vars(service).get("calls")}

    return chain(answer, bill)


# -- a module's dictionary ------------------------------------------------------------------------

RESULTS: dict = {}
LINES: list = []
TOTAL = 0


def _fill(state):
    pause()
    RESULTS["found"] = "gold"
    return {"a": 1}


def _append(state):
    pause()
    LINES.append("gold")
    return {"a": 1}


@program("dictionary of a module")
def in_a_prompt():
    RESULTS.clear()

    def write(state):
        return {"b": [f"Use {RESULTS}", str(RESULTS), f"{len(RESULTS)}"]}

    return chain(_fill, write)


@program("dictionary of a module")
def asked_and_dumped():
    RESULTS.clear()

    def write(state):
        return {"b": ["found" in RESULTS, json.dumps(RESULTS), bool(RESULTS), [*RESULTS]]}

    return chain(_fill, write)


@program("dictionary of a module")
def or_its_list():
    LINES.clear()

    def write(state):
        return {"b": ["\n".join(LINES), LINES[-1:], len(LINES)]}

    return chain(_append, write)


@program("dictionary of a module")
def or_its_number():
    global TOTAL
    TOTAL = 0

    def add(state):
        global TOTAL
        pause()
        TOTAL += 2
        return {"a": 1}

    def write(state):
        return {"b": f"{TOTAL} in all"}

    return chain(add, write)


# -- an object that a known writer changes --------------------------------------------------------


@program("object of a known writer")
def global_budget():
    budget = Counter()

    def research(state):
        pause()
        budget.calls += 1
        return {"a": 1}

    def bill(state):
        return {"b": budget.calls}

    return chain(research, bill)


@program("object of a known writer")
def budget_in_configurable():
    budget = Counter()

    def research(state, config):
        pause()
        config["configurable"]["budget"].calls += 1
        return {"a": 1}

    def bill(state, config):
        return {"b": config["configurable"]["budget"].calls}

    return chain(research, bill, options={"config": {"configurable": {"budget": budget}}})


@program("object of a known writer")
def budget_with_a_model_between():
    budget = Counter()

    def research(state):
        pause()
        budget.calls = 4
        return {"a": 1}

    def think(state):
        pause()
        return {"c": "thought"}

    def bill(state):
        return {"b": budget.calls * 2}

    return chain(research, think, bill)
