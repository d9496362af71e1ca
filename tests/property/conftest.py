"""Reports how many generated cases were compared."""

from case_counts import CASES


def pytest_terminal_summary(terminalreporter):
    if CASES:
        terminalreporter.write_line(
            f"{CASES['runs']} runs of {CASES['graphs']} generated graphs agreed with the original"
        )
