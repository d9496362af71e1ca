"""Programs whose nodes run code by their syntax, or skip it."""

import asyncio
import contextlib

from programs import PAUSE_S, Program, chain, pause, program

# -- async protocols ------------------------------------------------------------------------------


async def _numbers():
    for n in range(4):
        yield n


@program("async protocol")
def shared_async_generator():
    async def counting():
        for n in range(5):
            yield n

    stream = counting()

    async def first(state):
        await asyncio.sleep(PAUSE_S)
        async for n in stream:
            return {"a": n}

    async def second(state):
        async for n in stream:
            return {"b": n}

    return chain(first, second)


@program("async protocol")
def anext_of_a_shared_generator():
    stream = (n async for n in _numbers())

    async def first(state):
        await asyncio.sleep(PAUSE_S)
        return {"a": await anext(stream)}

    async def second(state):
        return {"b": [n async for n in stream]}

    return chain(first, second)


@program("async protocol")
def shared_awaitable():
    class Turn:
        taken = 0

        def __await__(self):
            self.taken += 1
            yield from ()
            return self.taken

    turn = Turn()

    async def first(state):
        await asyncio.sleep(PAUSE_S)
        return {"a": await turn}

    async def second(state):
        return {"b": await turn}

    return chain(first, second)


@program("async protocol")
def shared_async_context_manager():
    entered = []

    class Gate:
        async def __aenter__(self):
            entered.append(1)
            return len(entered)

        async def __aexit__(self, *error):
            entered.append(2)

    gate = Gate()

    async def first(state):
        await asyncio.sleep(PAUSE_S)
        async with gate as n:
            return {"a": n}

    async def second(state):
        async with contextlib.AsyncExitStack() as stack:
            return {"b": await stack.enter_async_context(gate)}

    return chain(first, second)


@program("async protocol")
def shift_operators():
    class Pipe:
        sent = 0

        def __rshift__(self, other):
            self.sent += other
            return self.sent

        def __lshift__(self, other):
            return self >> -other

        def __int__(self):
            return self.sent

    pipe = Pipe()

    def first(state):
        pause()
        return {"a": pipe >> 3}

    def second(state):
        return {"b": int(pipe), "c": pipe << 1}

    return chain(first, second)


# -- assignment in an expression that may be skipped ----------------------------------------------


def _five(state):
    pause()
    return {"a": 5}


def _skipped(second) -> Program:
    return chain(_five, second, given={"x": 3})


@program("skipped assignment")
def in_a_chained_comparison():
    def second(state):
        source = state
        found = state["x"] < 0 < len(source := {"a": 1})
        return {"b": source.get("a"), "c": found}

    return _skipped(second)


@program("skipped assignment")
def in_an_assert_message():
    def second(state):
        source = state
        assert state["x"], (source := {"a": 1})  # noqa: RUF018 (the fault is the point)
        return {"b": source.get("a")}

    return _skipped(second)


@program("skipped assignment")
def behind_and_or():
    def second(state):
        source = state
        found = state["x"] == 0 and (source := {"a": 1}) and True
        return {"b": source.get("a"), "c": found}

    return _skipped(second)


@program("skipped assignment")
def in_a_conditional():
    def second(state):
        source = state
        found = (source := {"a": 1}) if state["x"] > 9 else 0
        return {"b": source["a"], "c": found}

    return _skipped(second)


@program("skipped assignment")
def in_a_comprehension():
    def second(state):
        source = state
        found = [0 for _ in range(state["x"] - 3) if (source := {"a": 1})]
        return {"b": source["a"], "c": found}

    return _skipped(second)
