"""Programs whose nodes meet in one memory by two names, or in code that one of them replaces."""

import abc
import builtins
import logging
import logging.handlers
import os
import types
import typing
import weakref
from pathlib import Path
from tempfile import mkdtemp

import pytest
from langgraph.graph import START, StateGraph
from programs import Program, chain, pause, program
from pydantic import BaseModel

LEVEL = {"now": 0}
OWN_NAMES = globals()


class Base:
    rate = 1

    def answer(self):
        return "live"


class Child(Base):
    pass


# -- code that a node replaces --------------------------------------------------------------------


@program("replaced code")
def method_of_a_class():
    class Api(Base):
        pass

    api = Api()

    def writes(state):
        pause()
        Api.answer = lambda self: "stub"
        return {"a": 1}

    def reads(state):
        return {"b": api.answer()}

    return chain(writes, reads)


@program("replaced code")
def method_by_the_class_of_an_instance():
    class Api(Base):
        pass

    api = Api()

    def writes(state):
        pause()
        setattr(type(api), "answer", lambda self: "stub")  # noqa: B010
        return {"a": 1}

    def reads(state):
        return {"b": api.answer()}

    return chain(writes, reads)


@program("replaced code")
def special_method_that_comes_late():
    class Vector:
        pass

    vector = Vector()

    def writes(state):
        pause()
        Vector.__len__ = lambda self: 3
        return {"a": 1}

    def reads(state):
        return {"b": len(vector) if hasattr(vector, "__len__") else 0}

    return chain(writes, reads)


@program("replaced code")
def attribute_nearer_than_the_one_found():
    class Near(Base):
        pass

    def writes(state):
        pause()
        Near.rate = 2
        return {"a": 1}

    def reads(state):
        return {"b": Near.rate}

    return chain(writes, reads)


@program("replaced code")
def attribute_instead_of_the_fallback():
    class Settings:
        def __getattr__(self, name):
            return "default"

    settings = Settings()

    def writes(state):
        pause()
        settings.level = "high"
        return {"a": 1}

    def reads(state):
        return {"b": settings.level}

    return chain(writes, reads)


@program("replaced code")
def class_of_an_object():
    class Loud(Base):
        def answer(self):
            return "LIVE"

    thing = Child()

    def writes(state):
        pause()
        thing.__class__ = Loud
        return {"a": 1}

    def reads(state):
        return {"b": thing.answer()}

    return chain(writes, reads)


@program("replaced code")
def defaults_and_text_of_a_function():
    def inner(text="live"):
        return text

    def writes(state):
        pause()
        inner.__defaults__ = ("stub",)
        inner.__name__ = "other"
        return {"a": 1}

    def reads(state):
        return {"b": inner(), "c": inner.__name__}

    return chain(writes, reads)


@program("replaced code")
def registered_subclass():
    class Shape(abc.ABC):  # noqa: B024
        pass

    def writes(state):
        pause()
        Shape.register(Child)
        return {"a": 1}

    def reads(state):
        return {"b": issubclass(Child, Shape)}

    return chain(writes, reads)


@program("replaced code")
def new_built_in_name():
    builtins.__dict__.pop("their_level", None)

    def writes(state):
        pause()
        builtins.their_level = 1
        return {"a": 1}

    def reads(state):
        try:
            return {"b": their_level}
        except NameError:
            return {"b": 0}

    return chain(writes, reads)


# -- two names of one memory ----------------------------------------------------------------------


@program("second name")
def shown_by_views():
    table, raw = {}, bytearray(b"a")
    keys, proxy, window = table.keys(), types.MappingProxyType(table), memoryview(raw)

    def writes(state):
        pause()
        table["k"] = 1
        window[0] = 98
        return {"a": 1}

    def reads(state):
        return {"b": len(keys), "c": str(dict(proxy)), "d": bytes(raw)}

    return chain(writes, reads)


@program("second name")
def weak_proxy():
    thing = Child()
    proxy = weakref.proxy(thing)

    def writes(state):
        pause()
        proxy.rate = 2
        return {"a": 1}

    def reads(state):
        return {"b": thing.rate}

    return chain(writes, reads)


@program("second name")
def entry_that_dies():
    hold, table = [Child()], weakref.WeakValueDictionary()
    table["k"] = hold[0]

    def writes(state):
        pause()
        hold.clear()
        return {"a": 1}

    def reads(state):
        return {"b": len(table)}

    return chain(writes, reads)


@program("second name")
def attributes_of_an_object():
    thing = Child()
    attributes = vars(thing)

    def writes(state):
        pause()
        attributes["rate"] = 2
        return {"a": 1}

    def reads(state):
        return {"b": thing.rate}

    return chain(writes, reads)


@program("second name")
def borg():
    class Borg:
        shared: typing.ClassVar[dict] = {}

        def __init__(self):
            self.__dict__ = self.shared

    one, other = Borg(), Borg()

    def writes(state):
        pause()
        one.rate = 2
        return {"a": 1}

    def reads(state):
        return {"b": getattr(other, "rate", 0), "c": getattr(Borg(), "rate", 0)}

    return chain(writes, reads)


@program("second name")
def globals_of_a_module():
    OWN_NAMES["LEVEL"] = {"now": 0}

    def writes(state):
        pause()
        OWN_NAMES["LEVEL"] = {"now": 1}
        return {"a": 1}

    def reads(state):
        return {"b": LEVEL["now"]}

    return chain(writes, reads)


@program("second name")
def shallow_copy_of_a_model():
    class Basket(BaseModel):
        items: list

    basket = Basket(items=[])

    def writes(state):
        pause()
        basket.model_copy().items.append(1)
        return {"a": 1}

    def reads(state):
        return {"b": str(basket)}

    return chain(writes, reads)


@program("second name")
def cell_of_a_closure():
    level = 0

    def show():
        return level

    cell = show.__closure__[0]

    def writes(state):
        pause()
        cell.cell_contents = 1
        return {"a": 1}

    def reads(state):
        return {"b": show()}

    return chain(writes, reads)


# -- what libraries look at -----------------------------------------------------------------------


@program("looked at by a library")
def log_file():
    path = Path(mkdtemp()) / "log"
    logger = logging.Logger("apart")
    handler = logging.FileHandler(path)
    logger.addHandler(handler)

    def writes(state):
        pause()
        logger.warning("line")
        return {"a": 1}

    def reads(state):
        return {"b": path.read_text()}

    return chain(writes, reads, seen=handler.close)


@program("looked at by a library")
def log_buffer():
    kept = logging.handlers.MemoryHandler(100)
    logger = logging.Logger("apart")
    logger.addHandler(kept)

    def writes(state):
        pause()
        logger.warning("line")
        return {"a": 1}

    def reads(state):
        return {"b": len(kept.buffer)}

    return chain(writes, reads)


@program("looked at by a library")
def variable_in_a_path():
    os.environ["THEIR_ROOM"] = "old"

    def writes(state):
        pause()
        os.environ["THEIR_ROOM"] = "new"
        return {"a": 1}

    def reads(state):
        return {"b": os.path.expandvars("$THEIR_ROOM/x")}

    return chain(writes, reads)


@program("looked at by a library")
def defaults_of_attrs():
    attrs = pytest.importorskip("attrs")
    numbers = iter(range(10))

    @attrs.define
    class Ticket:
        name: str
        number: int = attrs.field()

        @number.default
        def _next(self):
            return next(numbers)

    def writes(state):
        pause()
        return {"a": Ticket("a").number}

    def reads(state):
        return {"b": Ticket("b").number}

    return chain(writes, reads)


# -- a state that is validated --------------------------------------------------------------------


class Checked(BaseModel):
    x: int = 0
    a: int = 0
    b: int = 0


@program("validated state")
def wrong_value_before_the_last_node():
    def grade(state):
        return {"a": "very good"}

    def count(state):
        return {"b": state.x + 1}

    graph = StateGraph(Checked)
    graph.add_node(grade)
    graph.add_node(count)
    graph.add_edge(START, "grade")
    graph.add_edge("grade", "count")
    return Program(graph=graph.compile(), given={"x": 1})
