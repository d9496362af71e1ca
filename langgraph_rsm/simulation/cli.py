"""The commands `simulate` (generated programs) and `replay` (recorded ones): tables of policies."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from langgraph_rsm.config import BalancerName, PolicyName, SchedulerConfig
from langgraph_rsm.core.machine import SchedulerCore
from langgraph_rsm.emulation.errors import EmulationError
from langgraph_rsm.emulation.profiles import PROFILES, load_profile
from langgraph_rsm.errors import SchedulerError
from langgraph_rsm.runtime.history_file import load_policy
from langgraph_rsm.simulation.engine import ReferenceEngine
from langgraph_rsm.simulation.fast_engine import FastEngine
from langgraph_rsm.simulation.replay import read_replay
from langgraph_rsm.simulation.simulator import Simulator
from langgraph_rsm.simulation.summary import Summary, summarize
from langgraph_rsm.simulation.workloads import WORKLOADS, generate_programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from langgraph_rsm.simulation.outcome import ProgramOutcome
    from langgraph_rsm.simulation.programs import ProgramSpec

_REPORT_EVERY_S = 0.5
_MAX_CONTEXT = 1 << 20
"""Contexts are bounded by the engine's memory alone: nobody cuts a simulated conversation."""

_COLUMNS = (
    ("s/token", "s_per_token", ".4f"),
    ("mean s", "mean_s", ".1f"),
    ("p50 s", "p50_s", ".1f"),
    ("p95 s", "p95_s", ".1f"),
    ("p99 s", "p99_s", ".1f"),
    ("wait/call s", "waited_s", ".2f"),
    ("programs/s", "programs_per_s", ".3f"),
    ("cache hits", "hit_ratio", ".1%"),
    ("busy", "busy_ratio", ".0%"),
)


def add_simulate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the `simulate` command."""
    parser.add_argument(
        "workload", nargs="?", default="mixed", help=f"{', '.join(WORKLOADS)}, or a+b"
    )
    parser.add_argument("--programs", type=int, default=300, help="how many")
    parser.add_argument("--rate", type=float, default=1.0, help="programs per second")
    parser.add_argument("--seed", type=int, default=0, help="of the programs and their arrivals")
    parser.add_argument(
        "--shared-tokens", type=int, default=0, help="system prompt shared by programs of a kind"
    )
    _add_common(parser)
    parser.set_defaults(run=run_simulate)


def add_replay_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the `replay` command."""
    parser.add_argument("trace", help="JSON lines, see langgraph_rsm.simulation.replay")
    _add_common(parser)
    parser.set_defaults(run=run_replay)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--policy", default="fcfs,plas,auto", help=f"comma-separated: {', '.join(PolicyName)}"
    )
    parser.add_argument(
        "--balancer", default=BalancerName.COST.value, choices=[name.value for name in BalancerName]
    )
    parser.add_argument("--engines", type=int, default=1, help="how many")
    parser.add_argument("--profile", default="gpu-8b", help=f"of them: {', '.join(PROFILES)}")
    parser.add_argument("--slots", type=int, help="calls in flight per engine")
    parser.add_argument("--kv-tokens", type=int, help="key-value memory in tokens")
    parser.add_argument("--no-prefix-caching", action="store_true", help="share no blocks")
    parser.add_argument(
        "--working-set", action="store_true", help="tell the scheduler the size of the memory"
    )
    parser.add_argument("--quantum-tokens", type=int, help="slice answers, and preempt in between")
    parser.add_argument("--history", help="file with the costs of past programs")
    parser.add_argument("--exact", action="store_true", help="simulate each iteration: slower")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run_simulate(options: argparse.Namespace) -> int:
    """Simulate generated programs; returns the exit status."""

    def programs() -> Iterable[ProgramSpec]:
        return generate_programs(
            options.workload,
            programs=options.programs,
            rate=options.rate,
            seed=options.seed,
            shared_tokens=options.shared_tokens,
        )

    return _run(options, programs, total=options.programs)


def run_replay(options: argparse.Namespace) -> int:
    """Simulate recorded programs; returns the exit status."""
    try:
        programs = read_replay(options.trace)
    except (SchedulerError, OSError) as exc:
        return _refuse(exc)
    return _run(options, lambda: programs, total=len(programs))


def _run(
    options: argparse.Namespace, programs: Callable[[], Iterable[ProgramSpec]], *, total: int
) -> int:
    summaries: dict[str, Summary] = {}
    try:
        for policy in options.policy.split(","):
            summaries[policy] = _simulate(options, policy, programs(), total)
    except (SchedulerError, EmulationError, ValueError) as exc:
        return _refuse(exc)
    if options.json:
        document = {policy: summary.as_dict() for policy, summary in summaries.items()}
        print(json.dumps(document, indent=2))  # noqa: T201
    else:
        print(format_table(summaries))  # noqa: T201
    return 0


def _simulate(
    options: argparse.Namespace, policy: str, programs: Iterable[ProgramSpec], total: int
) -> Summary:
    config = SchedulerConfig(
        policy=policy,
        balancer=options.balancer,
        history=options.history,
    )
    profile = load_profile(
        options.profile,
        max_num_seqs=options.slots,
        kv_tokens=options.kv_tokens,
        prefix_caching=not options.no_prefix_caching,
        max_model_len=_MAX_CONTEXT,
    )
    simulator = Simulator(
        SchedulerCore(
            config,
            policy=load_policy(config),
            preemption_levels=2 if options.quantum_tokens else 0,
        ),
        [profile] * options.engines,
        quantum_tokens=options.quantum_tokens,
        make_engine=ReferenceEngine if options.exact else FastEngine,
        on_program=_Progress(policy, total) if sys.stderr.isatty() else None,
        oracle=config.policy is PolicyName.SRPT_ORACLE,
        bound_memory=options.working_set,
    )
    return summarize(simulator.run(programs))


def format_table(summaries: Mapping[str, Summary]) -> str:
    """Return a table with one line per policy."""
    head = ["policy", *(title for title, _, _ in _COLUMNS)]
    rows = [
        [policy, *(format(getattr(summary, name), form) for _, name, form in _COLUMNS)]
        for policy, summary in summaries.items()
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = []
    for row in (head, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]))
    return "\n".join(lines)


def _refuse(exc: Exception) -> int:
    print(exc, file=sys.stderr)  # noqa: T201
    return 1


class _Progress:
    """Shows on standard error how many programs are done."""

    def __init__(self, policy: str, total: int) -> None:
        self._policy = policy
        self._total = total
        self._done = 0
        self._shown_s = 0.0

    def __call__(self, program: ProgramOutcome) -> None:  # noqa: ARG002
        self._done += 1
        now = time.monotonic()
        if now - self._shown_s < _REPORT_EVERY_S and self._done < self._total:
            return
        self._shown_s = now
        end = "\r" if self._done < self._total else "\r\033[K"
        line = f"{self._policy}: {self._done} of {self._total} programs"
        print(line, end=end, file=sys.stderr, flush=True)  # noqa: T201
