"""Measure the emulated engine: the bare model, and the server under streamed load.

Run `python -m benchmarks.emulation`. The model part reports iterations per second of one Python
thread. The server part starts the server as a process, streams from it with a client in this
process, and compares the duration with the one that the model computes without any clock. At a
high speed the excess is mostly the ramp: sending all requests takes longer than the engine needs.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import itertools
import json
import os
import platform
import subprocess
import sys
import time
import urllib.request

import aiohttp

from langgraph_rsm.emulation import EngineModel, EngineRequest, SegmentBlocks, load_profile
from langgraph_rsm.emulation.completion import plan_completion
from langgraph_rsm.emulation.protocol import parse_chat_request


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """What one server run achieved; durations in seconds."""

    wall_s: float
    server_cpu_s: float
    client_cpu_s: float
    tokens: int
    chunks: int
    first_token_s: list[float]
    lag_s: float


def measure_model(*, waiting: int, iterations: int = 20_000) -> float:
    """Return decode iterations per second with all 64 seats taken and `waiting` more requests."""
    profile = load_profile("gpu-8b")
    model = EngineModel(profile)
    seats = profile.max_num_seqs
    for index in range(seats + waiting):
        tokens = 5000 if index < seats else 100
        model.submit(
            EngineRequest(request_id=str(index), prompt_tokens=100, max_tokens=tokens), 0.0
        )
    for _ in range(8):
        _step(model)
    done, start_s = 0, time.perf_counter()
    while done < min(iterations, 4900):
        _step(model)
        done += 1
    return done / (time.perf_counter() - start_s)


def measure_calls(count: int = 20_000) -> float:
    """Return complete calls per second: 600 prompt tokens, a third cached, 64 generated."""
    profile = load_profile("gpu-8b")
    model = EngineModel(profile)
    start_s = time.perf_counter()
    for index in range(count):
        segments = (("system", 200), (index, 464))
        blocks = SegmentBlocks(segments, block_size=profile.block_size)
        model.submit(
            EngineRequest(request_id=str(index), prompt_tokens=600, max_tokens=64, blocks=blocks),
            0.0,
        )
        if index % 64 == 63:
            while model.stats().waiting:
                _step(model)
    while model.has_work:
        _step(model)
    return count / (time.perf_counter() - start_s)


def _step(model: EngineModel) -> None:
    model.begin_iteration()
    model.end_iteration()


def ideal_duration_s(bodies: list[dict[str, object]]) -> float:
    """Return how long the engine takes for these requests when all arrive at once."""
    profile = load_profile("gpu-8b")
    model = EngineModel(profile)
    for index, body in enumerate(bodies):
        chat = parse_chat_request(json.dumps(body).encode())
        completion = plan_completion(chat, profile, seed=0)
        request = completion.engine_request(str(index), block_size=profile.block_size, chat=chat)
        model.submit(request, 0.0)
    total_s = 0.0
    while (iteration := model.begin_iteration()) is not None:
        total_s += iteration.duration_s
        model.end_iteration()
    return total_s


async def stream_all(url: str, bodies: list[dict[str, object]], pid: int) -> Load:
    """Stream all requests at once and return what was achieved."""
    tokens = chunks = 0
    first_token_s: list[float] = []
    connector = aiohttp.TCPConnector(limit=0)

    async def ask(session: aiohttp.ClientSession, body: dict[str, object]) -> None:
        nonlocal tokens, chunks
        async with session.post(f"{url}/chat/completions", json=body) as response:
            response.raise_for_status()
            seen = False
            async for line in response.content:
                if not line.startswith(b"data: {"):
                    continue
                if not seen:
                    first_token_s.append(time.perf_counter() - start_s)
                    seen = True
                chunks += 1
                if line.startswith(b"data: {") and b'"usage":' in line:
                    tokens += json.loads(line[6:])["usage"]["completion_tokens"]

    async with aiohttp.ClientSession(connector=connector) as session:
        server_before_s, client_before_s = cpu_s(pid), time.process_time()
        start_s = time.perf_counter()
        await asyncio.gather(*(ask(session, body) for body in bodies))
        wall_s = time.perf_counter() - start_s
    return Load(
        wall_s,
        cpu_s(pid) - server_before_s,
        time.process_time() - client_before_s,
        tokens,
        chunks,
        sorted(first_token_s),
        read_lag_s(url),
    )


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process so far, in seconds (Linux)."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_lag_s(url: str) -> float:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/metrics") as response:
        for line in response.read().decode().splitlines():
            if line.startswith("emulation:lag_seconds_total"):
                return float(line.split()[-1])
    return float("nan")


def measure_server(streams: int, *, speed: float) -> tuple[float, Load]:
    """Return the ideal duration and the achieved load for `streams` concurrent streams."""
    bodies: list[dict[str, object]] = [
        {
            "messages": [{"role": "user", "content": f"Topic {index}. " + "Say more. " * 40}],
            "max_tokens": 128,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        for index in range(streams)
    ]
    command = [sys.executable, "-m", "langgraph_rsm", "emulate", "--port", "0"]
    command += ["--speed", str(speed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("listening on ").strip()
            load = asyncio.run(stream_all(url, bodies, process.pid))
            return ideal_duration_s(bodies) / speed, load
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, nargs="*", default=[64, 256])
    parser.add_argument("--speed", type=float, nargs="*", default=[1.0, 10.0])
    options = parser.parse_args()
    print(f"python {platform.python_version()}, {os.cpu_count()} cores, profile gpu-8b")
    print(f"model, 64 running               {measure_model(waiting=0):10,.0f} iterations/s")
    print(f"model, 64 running, 10 k waiting {measure_model(waiting=10_000):10,.0f} iterations/s")
    print(f"model, whole calls              {measure_calls():10,.0f} calls/s")
    print(
        "streams speed  ideal s  achieved s  excess  lag s  tokens/s  tokens/chunk  "
        "TTFT p50 s  server CPU  client CPU"
    )
    for streams, speed in itertools.product(options.streams, options.speed):
        ideal_s, load = measure_server(streams, speed=speed)
        excess = load.wall_s / ideal_s - 1
        print(
            f"{streams:7d} {speed:5g} {ideal_s:9.3f} {load.wall_s:11.3f} {excess:7.1%} "
            f"{load.lag_s:6.3f} {load.tokens / load.wall_s:9.0f} "
            f"{load.tokens / (load.chunks - 3 * streams):13.2f} "
            f"{load.first_token_s[streams // 2]:11.3f} "
            f"{load.server_cpu_s / load.wall_s:11.0%} {load.client_cpu_s / load.wall_s:11.0%}"
        )


if __name__ == "__main__":
    main()
