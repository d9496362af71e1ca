"""Commands: `python -m langgraph_parallel explain app.py:graph` says what may run together."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from langgraph_parallel import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: Command-line arguments without the program; None means those of the process.
    """
    parser = argparse.ArgumentParser(prog="langgraph_parallel", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    cli.add_arguments(
        commands.add_parser("explain", help="say what parallelize() would do with a graph, and why")
    )
    options = parser.parse_args(arguments)
    status: int = options.run(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
