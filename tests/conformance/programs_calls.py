"""Programs whose nodes call code that their text does not name."""

import functools
import json
import logging
import time
import uuid
from typing import Any

from langchain_core.runnables import RunnableLambda, RunnableParallel
from programs import chain, pause, program

# -- a class as callback --------------------------------------------------------------------------


def _tickets():
    class Ticket:
        made: list

        def __init__(self, name):
            Ticket.made.append(name)
            self.id = len(Ticket.made)

    Ticket.made = []
    return Ticket


@program("class as callback")
def of_map():
    ticket = _tickets()

    def first(state):
        pause()
        return {"a": [t.id for t in map(ticket, ["ann", "bob"])]}

    def second(state):
        return {"b": [t.id for t in map(ticket, ["zoe"])]}

    return chain(first, second)


@program("class as callback")
def of_a_sort():
    ticket = _tickets()
    ticket.__lt__ = lambda self, other: self.id > other.id

    def first(state):
        pause()
        return {"a": sorted(["x", "y"], key=ticket)}

    def second(state):
        return {"b": len(ticket.made)}

    return chain(first, second)


@program("class as callback")
def of_an_encoder():
    class Encoder(json.JSONEncoder):
        seen = 0

        def default(self, value):
            Encoder.seen += 1
            return Encoder.seen

    def first(state):
        pause()
        return {"a": json.dumps({"v": {1}}, cls=Encoder)}

    def second(state):
        return {"b": json.dumps([{1}, {2}], cls=Encoder)}

    return chain(first, second)


@program("class as callback")
def of_a_partial():
    ticket = _tickets()
    make = functools.partial(ticket, "ann")

    def first(state):
        pause()
        return {"a": make().id}

    def second(state):
        return {"b": make().id}

    return chain(first, second)


# -- a runnable that a runnable gives back --------------------------------------------------------


def _saver(wrap):
    seen = []

    def save(info):
        seen.append(info)
        return f"saved {len(seen)}"

    saver = wrap(RunnableLambda(save))

    def first(state):
        pause()
        return {"a": saver.invoke("one")}

    def second(state):
        return {"b": saver.invoke("two")}

    return chain(first, second)


@program("runnable given back")
def by_a_lambda():
    return _saver(lambda saver: RunnableLambda(lambda _: saver))


@program("runnable given back")
def by_a_lambda_in_a_sequence():
    return _saver(lambda saver: RunnableLambda(str.upper) | RunnableLambda(lambda _: saver))


@program("runnable given back")
def in_a_parallel():
    return _saver(lambda saver: RunnableParallel(v=RunnableLambda(lambda _: saver)))


@program("runnable given back")
def by_a_function_that_chooses():
    def choose(saver):
        def pick(info):
            return saver if info else RunnableLambda(str)

        return RunnableLambda(pick)

    return _saver(choose)


# -- logs -----------------------------------------------------------------------------------------


def _logger(lines):
    class Collect(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    log = logging.Logger("conformance")
    log.addHandler(Collect())
    return log


@program("captured log")
def of_a_handler():
    lines: list = []
    log = _logger(lines)

    def work(state):
        pause()
        log.info("worked")
        return {"a": 1}

    def tell(state):
        return {"b": list(lines)}

    return chain(work, tell)


@program("captured log")
def of_a_child_logger():
    lines: list = []
    log = logging.Logger("child")
    log.parent = _logger(lines)

    def work(state):
        pause()
        log.warning("worked %s", 1)
        return {"a": 1}

    def tell(state):
        return {"b": lines[-1:]}

    return chain(work, tell)


@program("captured log")
def of_a_filter():
    class Count(logging.Filter):
        seen = 0

        def filter(self, record):
            self.seen += 1
            return False

    count = Count()
    log = logging.Logger("filtered")
    log.addFilter(count)

    def work(state):
        pause()
        log.error("worked")
        return {"a": 1}

    def tell(state):
        return {"b": count.seen}

    return chain(work, tell)


@program("captured log")
def of_an_adapter():
    lines: list = []
    log = logging.LoggerAdapter(_logger(lines), {"run": 1})

    def work(state):
        pause()
        log.info("worked")
        return {"a": 1}

    def tell(state):
        return {"b": len(lines)}

    return chain(work, tell)


# -- wrapped functions ----------------------------------------------------------------------------


def _wrapped(known, *given):
    calls = []

    @functools.wraps(known)
    def traced(*values: Any):
        calls.append(values)
        return len(calls)

    def first(state):
        pause()
        return {"a": traced(*given)}

    def second(state):
        return {"b": traced(*given)}

    return chain(first, second)


@program("wrapped function")
def of_json():
    return _wrapped(json.dumps, 1)


@program("wrapped function")
def of_the_builtins():
    return _wrapped(print, "x")


@program("wrapped function")
def of_the_clock():
    return _wrapped(time.sleep, 0)


@program("wrapped function")
def of_a_generator_of_ids():
    return _wrapped(uuid.uuid4)


@program("wrapped function")
def by_a_counting_decorator():
    def counted(function):
        @functools.wraps(function)
        def wrapper(*values):
            wrapper.calls += 1
            return function(*values)

        wrapper.calls = 0
        return wrapper

    dumps = counted(json.dumps)

    def first(state):
        pause()
        return {"a": dumps([1])}

    def second(state):
        return {"b": dumps.calls}

    return chain(first, second)
