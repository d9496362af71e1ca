"""Workloads by name: a stream of programs that arrive as a Poisson process, the same for a seed."""

from __future__ import annotations

import dataclasses
import random
from types import MappingProxyType
from typing import TYPE_CHECKING

from langgraph_rsm.simulation import agents, published
from langgraph_rsm.simulation.errors import WorkloadError
from langgraph_rsm.simulation.programs import ProgramSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from langgraph_rsm.simulation.programs import CallSpec

    Shape = Callable[[random.Random, str], tuple[CallSpec, ...]]

SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "sharegpt": published.sharegpt,
        "bfcl": published.bfcl,
        "bfcl_short": published.bfcl_short,
        "lats": published.lats,
        "react": agents.react,
        "map_reduce": agents.map_reduce,
        "supervisor": agents.supervisor,
        "deep_research": agents.deep_research,
        "reasoning": agents.reasoning,
        "uneven": agents.uneven,
    }
)
"""Programs of one kind by its name."""

MIXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mixed": ("sharegpt", "bfcl", "lats"),
        "mixed_short": ("sharegpt", "bfcl_short", "lats"),
        "agents": ("react", "map_reduce", "supervisor", "deep_research", "reasoning"),
    }
)
"""Equal sampling of several kinds, by name."""

WORKLOADS = (*SHAPES, *MIXES)
"""All names."""


def generate_programs(
    workload: str,
    *,
    programs: int,
    rate: float,
    seed: int = 0,
    shared_tokens: int = 0,
    tenants: Mapping[str, float] | None = None,
) -> Iterator[ProgramSpec]:
    """Yield programs in the order of arrival.

    The n-th program of a seed is the same whatever the rate.

    Args:
        workload: One of `WORKLOADS`, or several joined by `+`, sampled equally.
        programs: How many.
        rate: Programs per second, above 0; infinity lets all arrive at once.
        seed: Of everything random.
        shared_tokens: Length of a system prompt that all programs of a kind share.
        tenants: Weights by name; programs are dealt to them in turn. None means one tenant.

    Raises:
        WorkloadError: The name is unknown, or a number is out of range.
    """
    kinds = _kinds(workload)
    if programs < 1 or rate <= 0 or shared_tokens < 0:
        msg = (
            f"programs={programs}, rate={rate}, shared_tokens={shared_tokens}: there must be at "
            "least 1 program, a rate above 0, and no negative tokens"
        )
        raise WorkloadError(msg)
    return _stream(kinds, programs, rate, seed, shared_tokens, tenants or {"default": 1.0})


def _kinds(workload: str) -> tuple[str, ...]:
    kinds: list[str] = []
    for name in workload.split("+"):
        if name not in WORKLOADS:
            msg = f"unknown workload {name!r}; choose one of {', '.join(WORKLOADS)}, or a+b"
            raise WorkloadError(msg)
        kinds.extend(MIXES.get(name, (name,)))
    return tuple(kinds)


def _stream(
    kinds: tuple[str, ...],
    programs: int,
    rate: float,
    seed: int,
    shared_tokens: int,
    tenants: Mapping[str, float],
) -> Iterator[ProgramSpec]:
    names = list(tenants)
    arrivals = random.Random(f"{seed}/arrivals")
    now = 0.0
    for index in range(programs):
        now += arrivals.expovariate(1.0) / rate
        rng = random.Random(f"{seed}/{index}")
        kind = rng.choice(kinds)
        program_id = f"{kind}-{seed}-{index}"
        calls = SHAPES[kind](rng, program_id)
        if shared_tokens:
            calls = _prepend(calls, (f"{kind}/system", shared_tokens))
        tenant = names[index % len(names)]
        yield ProgramSpec(program_id, kind, now, calls, tenant, tenants[tenant])


def _prepend(calls: tuple[CallSpec, ...], system: tuple[str, int]) -> tuple[CallSpec, ...]:
    return tuple(
        dataclasses.replace(
            call, segments=(system, *call.segments), shared_tokens=call.shared_tokens + system[1]
        )
        for call in calls
    )
