"""The `emulate` command: its options, and their way into settings."""

from __future__ import annotations

import argparse
import asyncio
import sys

from langgraph_rsm.emulation.embedded import serve_until_signal
from langgraph_rsm.emulation.errors import EmulationError
from langgraph_rsm.emulation.faults import FaultKind
from langgraph_rsm.emulation.profiles import PROFILES, SchedulingPolicy
from langgraph_rsm.emulation.settings import build_settings

_NOT_SETTINGS = {"command", "host", "port", "profile", "run", "no_prefix_caching"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the `emulate` command."""
    parser.add_argument("--port", type=int, default=8000, help="port; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument(
        "--profile", default="gpu-8b", help=f"engine to emulate: {', '.join(PROFILES)}"
    )
    parser.add_argument("--model", help="served model name; the profile's name by default")
    parser.add_argument("--seed", type=int, help="seed of text, tool calls and faults")
    parser.add_argument("--speed", type=float, help="divides all durations")

    engine = parser.add_argument_group("engine, as in vLLM")
    engine.add_argument("--max-num-seqs", type=int, help="seats")
    engine.add_argument("--max-num-batched-tokens", type=int, help="token budget per iteration")
    engine.add_argument("--max-model-len", type=int, help="most tokens of a request")
    engine.add_argument("--kv-tokens", type=int, help="key-value memory in tokens")
    engine.add_argument("--block-size", type=int, help="tokens per block of that memory")
    engine.add_argument("--scheduling-policy", choices=[p.value for p in SchedulingPolicy])
    engine.add_argument("--no-prefix-caching", action="store_true", help="share no blocks")

    limits = parser.add_argument_group("limits and faults")
    limits.add_argument("--max-queue", type=int, help="most waiting requests before 503")
    limits.add_argument("--rate-limit-rpm", type=int, help="requests per minute before 429")
    limits.add_argument("--fault-rate", type=float, help="share of failing requests, 0..1")
    limits.add_argument(
        "--fault-kinds",
        type=_parse_fault_kinds,
        help=f"comma-separated: {', '.join(kind.value for kind in FaultKind)}",
    )
    limits.add_argument("--stall-s", type=float, help="how long a stalled answer hangs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted.

    Returns:
        Exit status: 0 after SIGINT or SIGTERM, 1 when the server could not start.
    """
    changes = {name: value for name, value in vars(options).items() if name not in _NOT_SETTINGS}
    if options.no_prefix_caching:
        changes["prefix_caching"] = False
    try:
        settings = build_settings(options.profile, **changes)
        asyncio.run(serve_until_signal(settings, host=options.host, port=options.port))
    except EmulationError as exc:
        print(exc, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _parse_fault_kinds(text: str) -> tuple[FaultKind, ...]:
    try:
        return tuple(FaultKind(kind.strip()) for kind in text.split(","))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc
