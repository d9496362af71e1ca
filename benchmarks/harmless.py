"""Throughput with the default settings against the bare client, on engines of 4 to 256 seats.

`python -m benchmarks.harmless [--seconds 8] [--rounds 3] [--profile gpu-8b]`

Nobody tells the scheduler how many seats the engine has. The engine is the embedded one, in a
process of its own; both variants send the same number of callers (twice the seats and eight more)
that ask again as soon as they are answered, for answers of 50 to 150 tokens, and take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import statistics
import time
from typing import Any

from langchain_openai import ChatOpenAI

from langgraph_rsm import ScheduledChatModel, Scheduler
from langgraph_rsm.emulation import serve


def main() -> None:
    """Print one row for each number of seats."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", default="gpu-8b")
    parser.add_argument("--seats", type=int, nargs="*", default=[4, 16, 64, 256])
    options = parser.parse_args()
    print("seats  bare calls/s  default calls/s  bare/default  limit")
    for seats in options.seats:
        rates: dict[str, list[float]] = {"bare": [], "default": []}
        limits = []
        for _ in range(options.rounds):
            for name in rates:
                rate, limit = _measure(name, seats, options)
                rates[name].append(rate)
                if name == "default":
                    limits.append(limit)
        bare, default = (statistics.median(rates[name]) for name in rates)
        ratios = [a / b for a, b in zip(rates["bare"], rates["default"], strict=True)]
        spread = f"{min(ratios):.2f}..{max(ratios):.2f}"
        ratio = f"{bare / default:12.3f} ({spread})"
        print(f"{seats:5}  {bare:12.1f}  {default:15.1f}  {ratio}  {limits}", flush=True)


def _measure(name: str, seats: int, options: argparse.Namespace) -> tuple[float, int | None]:
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Queue(), context.Event()
    engine = context.Process(
        target=_engine, args=(options.profile, seats, ready, stop), daemon=True
    )
    engine.start()
    try:
        return asyncio.run(_load(name, ready.get(timeout=60), seats, options))
    finally:
        stop.set()
        engine.join(10)


def _engine(profile: str, seats: int, ready: Any, stop: Any) -> None:
    with serve(profile, max_num_seqs=seats) as server:
        ready.put((server.base_url, server.model))
        stop.wait()


async def _load(
    name: str, where: tuple[str, str], seats: int, options: argparse.Namespace
) -> tuple[float, int | None]:
    url, model_name = where
    body = {"ignore_eos": True}
    llm: Any = ChatOpenAI(base_url=url, api_key="x", model=model_name, extra_body=body)
    scheduler = Scheduler()
    model = ScheduledChatModel(inner=llm, scheduler=scheduler) if name == "default" else llm
    await model.ainvoke("warm up", max_tokens=2)
    began = time.monotonic()
    answered = 0

    async def caller(number: int) -> None:
        nonlocal answered
        lengths = random.Random(number)
        while time.monotonic() < began + options.seconds:
            await model.ainvoke(f"question {number}", max_tokens=lengths.randint(50, 150))
            answered += 1

    await asyncio.gather(*(caller(number) for number in range(2 * seats + 8)))
    took_s = time.monotonic() - began
    engines = scheduler.snapshot().engines
    return answered / took_s, engines[0].limit if engines else None


if __name__ == "__main__":
    main()
