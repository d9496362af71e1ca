"""Measure what scheduling adds to a model call: latency and CPU time, against the bare client.

Run `python -m benchmarks.overhead`. The embedded engine runs as a process of its own, fast and with
more seats than callers, so that nobody queues and only overhead is left. Every variant makes the
same calls with the same client settings in alternating rounds. CPU time is that of the client
process per call. The first table leaves HTTP out: a model that answers at once shows the added
microseconds without the noise of a socket. LiteLLM is measured if it is installed; it is no
LangChain model, so its base is the `openai` client that it wraps.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, OpenAI

from langgraph_rsm import (
    Engine,
    ScheduledChatModel,
    Scheduler,
    SchedulerConfig,
    keep_context,
    schedule,
)
from langgraph_rsm.core.call import Call
from langgraph_rsm.identity.run_tree import _handler_var

CALLS = {1: 60, 64: 320, 1024: 1024}
"""Calls per round by concurrency: enough for a median, few enough for minutes."""
PROMPT = "Write one word."
MAX_TOKENS = 4
SEATS = 2048
SCHEDULED = {"ScheduledChatModel", "schedule()"}


class InstantModel(BaseChatModel):
    """Answers at once, so that everything around it can be seen."""

    @property
    def _llm_type(self) -> str:
        return "instant"

    def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:  # noqa: ARG002
        return ChatResult(generations=[ChatGeneration(message=AIMessage("word"))])

    async def _agenerate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        return self._generate(messages)


class SlotAlone:
    """No model at all: the scheduler's part of a call that is a program of its own."""

    def __init__(self) -> None:
        self.scheduler = new_scheduler()
        self.engine_id = self.scheduler.register(Engine(InstantModel())).engine_id

    def invoke(self, _: str) -> None:
        """Take the slot of one call, and give it back."""
        call = self._call()
        with self.scheduler.slot(call):
            pass
        self.scheduler.end_program(call.program_id)

    async def ainvoke(self, _: str) -> None:
        """Do the same in a task."""
        call = self._call()
        async with self.scheduler.aslot(call):
            pass
        self.scheduler.end_program(call.program_id)

    def _call(self) -> Call:
        return Call(program_id=uuid.uuid4().hex, engines=(self.engine_id,), graph="graph")


@dataclass(slots=True)
class Samples:
    """Measurements of one variant in one cell of the table."""

    latency_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    """CPU time per call, one value for each round."""

    def p50_ms(self) -> float:
        """Return the median latency."""
        return statistics.median(self.latency_s) * 1e3

    def cpu_ms(self) -> float:
        """Return the median CPU time of a call."""
        return statistics.median(self.cpu_s) * 1e3

    def cpu_range_ms(self) -> str:
        """Return the least and the greatest CPU time of a call."""
        return f"{min(self.cpu_s) * 1e3:.2f}-{max(self.cpu_s) * 1e3:.2f}"


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to make a call, three times: sync, async, and streamed asynchronously."""

    name: str
    base: str
    """The variant that its overhead is counted from; its own name for a base."""
    sync: Callable[[], Any]
    once: Callable[[], Awaitable[Any]]
    streamed: Callable[[], Awaitable[Any]]


def new_scheduler() -> Scheduler:
    return Scheduler(config=SchedulerConfig(default_capacity=SEATS))


def from_model(name: str, model: Any, *, base: str = "ChatOpenAI") -> Variant:
    async def streamed() -> None:
        async for _ in model.astream(PROMPT):
            pass

    return Variant(
        name, base, lambda: model.invoke(PROMPT), lambda: model.ainvoke(PROMPT), streamed
    )


def from_openai(url: str, model: str) -> Variant:
    sync_client = OpenAI(base_url=url, api_key="none", max_retries=0)
    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    request: dict[str, Any] = {
        "model": model,
        "max_tokens": MAX_TOKENS,
        "messages": [{"role": "user", "content": PROMPT}],
    }

    async def streamed() -> None:
        async for _ in await client.chat.completions.create(stream=True, **request):
            pass

    return Variant(
        "openai client",
        "openai client",
        lambda: sync_client.chat.completions.create(**request),
        lambda: client.chat.completions.create(**request),
        streamed,
    )


def from_litellm(url: str, model: str) -> Variant | None:
    try:
        import litellm  # type: ignore[import-not-found]
    except ModuleNotFoundError:
        return None
    parameters = {"model": f"openai/{model}", "api_base": url, "api_key": "none"}
    router = litellm.Router(
        model_list=[{"model_name": "m", "litellm_params": parameters}], num_retries=0
    )
    request = {
        "model": "m",
        "max_tokens": MAX_TOKENS,
        "messages": [{"role": "user", "content": PROMPT}],
    }

    async def streamed() -> None:
        async for _ in await router.acompletion(stream=True, **request):
            pass

    return Variant(
        "LiteLLM Router",
        "openai client",
        lambda: router.completion(**request),
        lambda: router.acompletion(**request),
        streamed,
    )


def make_variants(url: str, model: str) -> list[Variant]:
    def client(**settings: Any) -> ChatOpenAI:
        return ChatOpenAI(
            base_url=url,
            model=model,
            api_key="none",
            max_retries=0,
            max_tokens=MAX_TOKENS,
            stream_usage=True,
            **settings,
        )

    limiter = InMemoryRateLimiter(
        requests_per_second=1e6, check_every_n_seconds=0.001, max_bucket_size=1e6
    )
    variants = [
        from_model("ChatOpenAI", client()),
        from_model(
            "ScheduledChatModel",
            ScheduledChatModel(
                engines=[Engine(client(), capacity=SEATS)], scheduler=new_scheduler()
            ),
        ),
        from_model("schedule()", schedule(client(), scheduler=new_scheduler(), capacity=SEATS)),
        from_model("InMemoryRateLimiter", client(rate_limiter=limiter)),
        from_openai(url, model),
    ]
    litellm_variant = from_litellm(url, model)
    return [*variants, litellm_variant] if litellm_variant else variants


async def run_async(call: Callable[[], Awaitable[Any]], calls: int, width: int) -> list[float]:
    left = iter(range(calls))
    latency_s: list[float] = []

    async def worker() -> None:
        for _ in left:
            start_s = time.perf_counter()
            await call()
            latency_s.append(time.perf_counter() - start_s)

    await asyncio.gather(*(worker() for _ in range(width)))
    return latency_s


def run_sync(call: Callable[[], Any], calls: int, width: int) -> list[float]:
    def timed(_: int) -> float:
        start_s = time.perf_counter()
        call()
        return time.perf_counter() - start_s

    with ThreadPoolExecutor(width) as pool:
        return list(pool.map(keep_context(timed), range(calls)))


def measure(variant: Variant, mode: str, width: int, loop: asyncio.AbstractEventLoop) -> Samples:
    calls = CALLS[width]
    gc.collect()
    cpu_s = time.process_time()
    with as_if_not_installed(variant.name not in SCHEDULED):
        if mode == "sync":
            latency_s = run_sync(variant.sync, calls, width)
        else:
            call = variant.once if mode == "async" else variant.streamed
            latency_s = loop.run_until_complete(run_async(call, calls, width))
    return Samples(latency_s, [(time.process_time() - cpu_s) / calls])


@contextmanager
def as_if_not_installed(bare: bool) -> Iterator[None]:
    """Take our callback handler out of LangChain, which otherwise sees the bare calls, too."""
    if not bare:
        yield
        return
    token = _handler_var.set(None)
    try:
        yield
    finally:
        _handler_var.reset(token)


def print_http(variants: list[Variant], rounds: int, widths: list[int]) -> None:
    loop = asyncio.new_event_loop()
    print("| mode | at once | variant | p50 ms | added p50 ms | CPU ms/call (range) | added CPU |")
    print("|---|---|---|---|---|---|---|")
    for mode in ("sync", "async", "streamed"):
        for width in widths:
            cells = {variant.name: Samples() for variant in variants}
            for number in range(rounds + 1):
                for variant in variants:
                    samples = measure(variant, mode, width, loop)
                    if number:  # the first round warms up
                        cells[variant.name].latency_s += samples.latency_s
                        cells[variant.name].cpu_s += samples.cpu_s
            for variant in variants:
                print(_row(variant, mode, width, cells), flush=True)
            if not any(variant.name.startswith("LiteLLM") for variant in variants):
                print(f"| {mode} | {width} | LiteLLM Router | not installed | | | |")


def _row(variant: Variant, mode: str, width: int, cells: dict[str, Samples]) -> str:
    own, base = cells[variant.name], cells[variant.base]
    start = f"| {mode} | {width} | {variant.name} | {own.p50_ms():.2f} |"
    cpu = f"{own.cpu_ms():.2f} ({own.cpu_range_ms()})"
    if own is base:
        return f"{start} | {cpu} | |"
    added = f"{own.p50_ms() - base.p50_ms():+.2f}"
    return f"{start} {added} | {cpu} | {own.cpu_ms() / base.cpu_ms() - 1:+.1%} |"


def print_instant(calls: int = 1000, rounds: int = 7) -> None:
    plain = InstantModel()
    models: dict[str, Any] = {
        "bare": plain,
        "ScheduledChatModel": ScheduledChatModel(inner=plain, scheduler=new_scheduler()),
        "schedule()": schedule(plain, scheduler=new_scheduler()),
        "slot() without a model": SlotAlone(),
    }
    print("| no HTTP | sync CPU us/call (range) | added | async CPU us/call (range) | added |")
    print("|---|---|---|---|---|")
    found: dict[str, list[list[float]]] = {name: [[], []] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            with as_if_not_installed(name not in SCHEDULED):
                costs = _instant_us(model, calls)
            for column, cost_us in enumerate(costs):
                found[name][column].append(cost_us)
    bare = [statistics.median(column) for column in found["bare"]]
    for name, columns in found.items():
        cells = ""
        for column, base in zip(columns, bare, strict=True):
            cost_us = statistics.median(column)
            added = f"{cost_us - base:+.0f}" if isinstance(models[name], BaseChatModel) else ""
            cells += f" {cost_us:.0f} ({min(column):.0f}-{max(column):.0f}) | {added} |"
        print(f"| {name} |{cells}", flush=True)


def _instant_us(model: Any, calls: int) -> tuple[float, float]:
    async def many() -> None:
        for _ in range(calls):
            await model.ainvoke(PROMPT)

    start_s = time.process_time()
    for _ in range(calls):
        model.invoke(PROMPT)
    between_s = time.process_time()
    asyncio.run(many())
    end_s = time.process_time()
    return (between_s - start_s) / calls * 1e6, (end_s - between_s) / calls * 1e6


@contextmanager
def engine_process() -> Iterator[tuple[str, str]]:
    command = [sys.executable, "-m", "langgraph_rsm", "emulate", "--port", "0", "--speed", "1000"]
    command += ["--max-num-seqs", str(SEATS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("listening on ").strip(), "gpu-8b"
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--widths", type=int, nargs="*", default=list(CALLS))
    options = parser.parse_args()
    print(f"python {platform.python_version()}, {os.cpu_count()} cores, medians of rounds\n")
    print_instant()
    print()
    with engine_process() as (url, model):
        print_http(make_variants(url, model), options.rounds, options.widths)


if __name__ == "__main__":
    main()
