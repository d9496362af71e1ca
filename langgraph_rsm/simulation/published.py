"""Workloads with the published moments of Autellix's (arXiv 2502.13965, Table 1).

The paper gives means and some maxima; the shapes are chosen here. What its prefill tokens per call
mean is left open, and read here by the loads that the paper drives each workload with, on one
engine of the same class: BFCL with 0.2 to 0.8 programs/s, LATS with 0.1 to 0.3.

- ShareGPT: what a turn *adds*. The answers before it alone make a whole prompt longer than that.
- BFCL: what a call adds, too. An engine without prefix cache then takes 0.1 programs/s and one with
  it 0.9, and the paper's range lies between. Were it the whole prompt, even the former would take
  1.3, and the paper could not have seen it overloaded. `bfcl_short` is that other reading.
- LATS: the whole prompt. The engines take 0.12 and 0.4 programs/s; were it what a call adds, the
  prefill of a program alone would last 6 s, and none would take 0.17.

Calls follow one another without pause: the paper leaves tools and people out, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.simulation.programs import CallSpec
from langgraph_rsm.simulation.sampling import sample_count, sample_tokens

if TYPE_CHECKING:
    import random

    from langgraph_rsm.simulation.programs import Segment

Calls = tuple[CallSpec, ...]

_CHILDREN = 5
"""Nodes added in an expansion: the number that LATS samples (arXiv 2310.04406)."""


def sharegpt(rng: random.Random, program_id: str) -> Calls:
    """Return a conversation: 6.66 calls (at most 80), 276.81 tokens out, 255.65 in by call."""
    verbosity = rng.lognormvariate(-0.08, 0.4)
    calls: list[CallSpec] = []
    context = 0
    for index in range(sample_count(rng, 6.66, 0.9, most=80)):
        context += sample_tokens(rng, 255.65, 1.0, most=4096)
        output = sample_tokens(rng, 276.81 * verbosity, 0.7, most=4096)
        calls.append(
            CallSpec(
                segments=((f"{program_id}/chat", context),),
                output_tokens=output,
                parents=(index - 1,) if index else (),
                call_site="chat",
            )
        )
        context += output
    return tuple(calls)


def bfcl(rng: random.Random, program_id: str) -> Calls:
    """Return a ReAct loop: 10.75 calls (at most 70), 34.14 tokens out, 735.06 added in by call.

    Most of them come with the first call, which describes the tools.
    """
    return _tool_loop(rng, program_id, first=4002.0, added=400.0)


def bfcl_short(rng: random.Random, program_id: str) -> Calls:
    """Return the same with whole prompts of 735.06 tokens on average: a tenth of the context."""
    return _tool_loop(rng, program_id, first=260.0, added=20.0)


def _tool_loop(rng: random.Random, program_id: str, *, first: float, added: float) -> Calls:
    calls: list[CallSpec] = []
    context = 0
    for index in range(sample_count(rng, 10.75, 0.8, most=70)):
        context += sample_tokens(rng, added if index else first, 0.5, most=16_384)
        output = sample_tokens(rng, 34.14, 0.6, most=1024)
        calls.append(
            CallSpec(
                segments=((f"{program_id}/agent", context),),
                output_tokens=output,
                parents=(index - 1,) if index else (),
                call_site="agent",
            )
        )
        context += output
    return tuple(calls)


def lats(rng: random.Random, program_id: str) -> Calls:
    """Return a Monte Carlo tree search: 159.71 calls, 72.64 tokens out, prompts of 467.24.

    Each round expands one node into five, in parallel, and scores each as soon as it is there; the
    next round needs all scores. Numbers of rounds differ little: 16 with a deviation of 3.
    """
    root: Segment = (f"{program_id}/task", sample_tokens(rng, 164, 0.1))
    leaves: list[tuple[Segment, ...]] = [(root,)]
    calls: list[CallSpec] = []
    scores: tuple[int, ...] = ()
    for _ in range(max(4, round(rng.gauss(15.971, 3.0)))):
        # Mostly deeper, as the best leaf is; sometimes back to an older branch.
        path = leaves[-1 - min(int(rng.expovariate(0.25)), len(leaves) - 1)]
        expanded = []
        for branch in range(_CHILDREN):
            step = f"{program_id}/{len(calls)}"
            output = sample_tokens(rng, 72.64, 0.5, most=1024)
            expanded.append((len(calls), (*path, (step, 10 + output))))
            calls.append(CallSpec((*path, (step, 10)), output, scores, 0.0, "expand", f"b{branch}"))
        scores = tuple(range(len(calls), len(calls) + _CHILDREN))
        for branch, (parent, child) in enumerate(expanded):
            score = (f"{program_id}/{len(calls)}", 20)
            output = sample_tokens(rng, 72.64, 0.5, most=1024)
            calls.append(
                CallSpec((*child, score), output, (parent,), 0.0, "evaluate", f"b{branch}")
            )
            if len(child) < 6:
                leaves.append(child)
    return tuple(calls)
