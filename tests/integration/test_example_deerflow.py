"""The DeerFlow example runs offline: faster, complete, and without repeating finished steps."""

import re

import pytest


@pytest.mark.timeout(180)
def test_deerflow_script_runs_offline(printed_by):
    printed = printed_by("04_deerflow")
    speedup = re.search(r"parallel [\d.]+ s: ([\d.]+)x", printed)
    assert speedup is not None
    assert float(speedup[1]) > 1.0
    assert printed.count("[True, True, True, True]") == 2
    assert "first finding the same: True" in printed
    assert "Engine B: [ERROR] researcher: the search service is down" in printed
    assert "asked: Please review the plan." in printed
    assert "after the restart: ['Engine B', 'Comparison']" in printed
