"""Command line: an embedded engine (`emulate`), and what-if studies (`simulate`, `replay`)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from langgraph_rsm.emulation import cli
from langgraph_rsm.simulation.cli import add_replay_arguments, add_simulate_arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: Command-line arguments without the program; None means those of the process.
    """
    parser = argparse.ArgumentParser(prog="langgraph_rsm", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    cli.add_arguments(
        commands.add_parser(
            "emulate", help="serve an emulated engine with an OpenAI-compatible API"
        )
    )
    add_simulate_arguments(
        commands.add_parser("simulate", help="compare policies on generated programs")
    )
    add_replay_arguments(commands.add_parser("replay", help="compare policies on recorded calls"))
    options = parser.parse_args(arguments)
    status: int = options.run(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
