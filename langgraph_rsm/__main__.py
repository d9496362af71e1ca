"""Command line: `python -m langgraph_rsm emulate` starts the embedded engine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from langgraph_rsm.emulation import cli


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
    options = parser.parse_args(arguments)
    status: int = options.run(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
