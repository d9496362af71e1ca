"""Workloads shaped like common LangGraph agents, with tool delays; sizes are choices, not data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.simulation.programs import CallSpec
from langgraph_rsm.simulation.sampling import sample_count, sample_tokens

if TYPE_CHECKING:
    import random

Calls = tuple[CallSpec, ...]

_TOKEN_S = 0.01
"""Engine time of a generated token, for the paths that a compiler would stamp."""


def react(rng: random.Random, program_id: str) -> Calls:
    """Return a ReAct loop: 6 calls on average, a tool of 2 s on average between them."""
    return _loop(rng, f"{program_id}/agent", calls=sample_count(rng, 6, 0.8, most=40))


def map_reduce(rng: random.Random, program_id: str) -> Calls:
    """Return a plan, 4 to 16 parallel summaries, and one that combines them."""
    width = rng.randint(4, 16)
    plan = sample_tokens(rng, 120, 0.4)
    calls = [CallSpec(((f"{program_id}/plan", 600),), plan, call_site="plan", remaining_path_s=8.2)]
    total = 0
    for branch in range(width):
        prompt, output = sample_tokens(rng, 1500, 0.6), sample_tokens(rng, 250, 0.8)
        segments = ((f"{program_id}/map-{branch}", prompt),)
        calls.append(CallSpec(segments, output, (0,), 0.0, "map", f"map-{branch}", 0, 6.5))
        total += output
    segments = ((f"{program_id}/reduce", 300 + total),)
    output = sample_tokens(rng, 400, 0.4)
    parents = tuple(range(1, width + 1))
    calls.append(CallSpec(segments, output, parents, call_site="reduce", remaining_path_s=4.0))
    return tuple(calls)


def supervisor(rng: random.Random, program_id: str) -> Calls:
    """Return a supervisor that hands work to one of three workers, 5 times on average."""
    calls: list[CallSpec] = []
    context = 800
    for _ in range(sample_count(rng, 5, 0.5, most=20)):
        last = (len(calls) - 1,) if calls else ()
        route = sample_tokens(rng, 30, 0.4)
        segments = ((f"{program_id}/supervisor", context),)
        calls.append(CallSpec(segments, route, last, 0.0, "supervisor"))
        worker = f"worker-{rng.randrange(3)}"
        prompt, output = sample_tokens(rng, 900, 0.5), sample_tokens(rng, 200, 0.7)
        segments = ((f"{program_id}/{len(calls)}", prompt),)
        delay_s = rng.expovariate(1.0)
        calls.append(CallSpec(segments, output, (len(calls) - 1,), delay_s, worker, worker))
        context += route + output
    segments = ((f"{program_id}/supervisor", context),)
    output = sample_tokens(rng, 300, 0.4)
    calls.append(CallSpec(segments, output, (len(calls) - 1,), 0.0, "answer"))
    return tuple(calls)


def deep_research(rng: random.Random, program_id: str) -> Calls:
    """Return a plan, 2 to 6 researchers at once (each a ReAct loop), and a long report."""
    segments = ((f"{program_id}/plan", 1200),)
    calls = [CallSpec(segments, sample_tokens(rng, 300, 0.4), call_site="plan")]
    ends: list[int] = []
    found = 0
    for branch in range(rng.randint(2, 6)):
        thread = f"research-{branch}"
        loop = _loop(
            rng,
            f"{program_id}/{thread}",
            calls=sample_count(rng, 5, 0.5, most=15),
            first=0,
            offset=len(calls),
            thread_id=thread,
        )
        calls.extend(loop)
        ends.append(len(calls) - 1)
        found += loop[-1].output_tokens
    segments = ((f"{program_id}/report", 1200 + 3 * found),)
    output = sample_tokens(rng, 1500, 0.4)
    calls.append(CallSpec(segments, output, tuple(ends), call_site="report"))
    return tuple(calls)


def reasoning(rng: random.Random, program_id: str) -> Calls:
    """Return one to three questions; one program in ten thinks for 4 to 32 thousand tokens."""
    thinks = rng.random() < 0.1
    calls: list[CallSpec] = []
    context = 0
    for index in range(rng.randint(1, 3)):
        context += sample_tokens(rng, 300, 0.8)
        output = sample_tokens(rng, 200, 0.8)
        if thinks and not index:
            output = round(4000 * 8 ** rng.random())
        segments = ((f"{program_id}/chat", context),)
        calls.append(CallSpec(segments, output, (index - 1,) if index else (), 0.0, "chat"))
        context += output
    return tuple(calls)


def uneven(rng: random.Random, program_id: str) -> Calls:
    """Return a static graph: 8 short branches and one long chain of 4, then a join, three times.

    The compiler of such a graph knows that the chain decides; `remaining_path_s` says so.
    """
    calls: list[CallSpec] = []
    joined: tuple[int, ...] = ()
    for stage in range(3):
        later_s = (2 - stage) * 6 * 150 * _TOKEN_S
        ends = []
        for branch in range(9):
            parents = joined
            length = 4 if branch == 8 else 1  # last, as first come, first served would have it
            for step in range(length):
                path_s = later_s + (length - step + 1) * 150 * _TOKEN_S
                name = f"{program_id}/{stage}-{branch}"
                segments = ((name, 300 + 200 * step),)
                output = sample_tokens(rng, 150, 0.3)
                site, thread = f"work-{branch}", f"branch-{branch}"
                calls.append(CallSpec(segments, output, parents, 0.0, site, thread, 0, path_s))
                parents = (len(calls) - 1,)
            ends.append(len(calls) - 1)
        path_s = later_s + 150 * _TOKEN_S
        segments = ((f"{program_id}/join-{stage}", 1200),)
        output = sample_tokens(rng, 150, 0.3)
        calls.append(CallSpec(segments, output, tuple(ends), 0.0, "join", "", 0, path_s))
        joined = (len(calls) - 1,)
    return tuple(calls)


def _loop(
    rng: random.Random,
    name: str,
    *,
    calls: int,
    first: int | None = None,
    offset: int = 0,
    thread_id: str = "",
) -> Calls:
    """Return a chain of calls with a tool between them.

    Args:
        rng: Source of randomness.
        name: Of the conversation.
        calls: Length of the chain, at least 1.
        first: Parent of the first call; None for none.
        offset: Index of the first call in its program.
        thread_id: Branch of the calls.
    """
    chain: list[CallSpec] = []
    context = 1000
    parents = () if first is None else (first,)
    for index in range(calls):
        context += sample_tokens(rng, 300, 0.6)
        output = sample_tokens(rng, 80, 0.6)
        delay_s = rng.lognormvariate(0.2, 1.0) if index else 0.0  # mean 2 s
        segments = ((name, context),)
        chain.append(CallSpec(segments, output, parents, delay_s, "agent", thread_id))
        context += output
        parents = (offset + index,)
    return tuple(chain)
