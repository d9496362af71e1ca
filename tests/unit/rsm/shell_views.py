"""What tests of the shell look at and how they leave their own event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor


def in_flight(scheduler):
    return sum(engine.in_flight for engine in scheduler.snapshot().engines)


def run_elsewhere(coroutine):
    """Run a coroutine on a loop of its own in another thread.

    `asyncio.run` on the main thread would drop, unclosed, the loop that pytest-asyncio keeps there.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
