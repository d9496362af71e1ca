"""The example of plans runs offline: faster, with the same results, and without repeating steps."""

import re

import pytest


@pytest.mark.timeout(180)
def test_plans_script_runs_offline_and_keeps_the_results(printed_by):
    printed = printed_by("02_plans")
    assert "Plan: 6 tasks -> 3 batches, predicted speed-up 2.00x" in printed
    speedup = re.search(r"parallel [\d.]+ s: ([\d.]+)x", printed)
    assert speedup is not None
    assert float(speedup[1]) > 1.0
    assert printed.count("same results: True") == 2
    assert "same report: True" in printed
    assert "run again: nothing that was finished" in printed
