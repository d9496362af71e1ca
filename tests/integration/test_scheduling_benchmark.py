"""The scheduling benchmark runs from end to end and writes its page, raw rows and pictures."""

from __future__ import annotations

import json
import sys

from benchmarks import scheduling


def test_quick_form_writes_the_results(tmp_path, monkeypatch):
    monkeypatch.setattr(scheduling.os, "nice", lambda _: None)
    arguments = ["--quick", "--processes", "1", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["scheduling", *arguments, "--studies", "tenants,chats"])
    scheduling.main()

    rows = [json.loads(line) for line in (tmp_path / "scheduling.jsonl").read_text().splitlines()]
    assert {row["study"] for row in rows} == {"tenants", "chats"}
    assert all(row["s_per_token"] > 0 for row in rows)
    page = (tmp_path / "scheduling.md").read_text()
    assert "## tenants" in page
    assert "gold : bronze" in page


def test_rates_at_equal_latency_are_read_off_the_curve():
    from benchmarks.scheduling_report import crossing

    curve = [(1.0, 0.01), (2.0, 0.04)]
    rate, sign = crossing(curve, 0.02)
    assert (round(rate, 6), sign) == (1.5, "")
    assert crossing(curve, 0.05) == (2.0, ">")
    assert crossing(curve, 0.005) == (1.0, "<")
