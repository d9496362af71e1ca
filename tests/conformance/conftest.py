"""Shows what the conformance cases came to."""

import os
from pathlib import Path

import pytest
from runs import TALLY


def pytest_sessionfinish(session):
    """Send what a worker of xdist counted to the process that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["conformance"] = TALLY.as_text()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    text = getattr(node, "workeroutput", {}).get("conformance")
    if text:
        TALLY.take_in(text)


def pytest_terminal_summary(terminalreporter):
    write = terminalreporter.write_line
    for kind, counts in TALLY.seen.items():
        shown = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        write(f"conformance cases by {kind}: {shown}")
    for mode in sorted({mode for mode, _ in TALLY.verdicts}):
        counts = {verdict: TALLY.verdicts[mode, verdict] for verdict in ("moved", "kept", "FAILED")}
        write(f"{mode}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    for mode, moved in TALLY.controls.items():
        apart = [name for name, found in moved.items() if not found]
        write(f"controls in {mode}: {sum(moved.values())} of {len(moved)} moved, not {apart}")
    if path := os.environ.get("CONFORMANCE_FAILURES"):
        lines = [f"{case} {mode}\n" for case, mode in TALLY.failures]
        Path(path).write_text("".join(lines))
