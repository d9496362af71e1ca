"""Renders the raw rows of the scheduling benchmark as a Markdown page and pictures."""

from __future__ import annotations

import itertools
import math
import os
import platform
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

Row = dict[str, Any]

TARGETS = (0.03, 0.05, 0.1)
"""Program-token latencies, in seconds per token, at which throughput is compared."""

INTRODUCTION = """# Scheduling policies, simulated

`python -m benchmarks.scheduling`; Python {python}, {cores} shared cores. Raw numbers of each run:
`scheduling.jsonl`. The scheduler's own core under a virtual clock, before a modeled engine
(`gpu-8b`: 64 seats, 400 000 tokens of key-value memory; a roofline estimate, not a measurement).
All policies have the same cap of 64 calls in flight and, unless a line says otherwise, the same
prefix cache. Promotion (`beta`) and `max_wait_s` are off except where they are varied, so that
policies and not their safety nets are compared. `s/token` is the time from a program's arrival to
its last answer, without tools, by generated token: the mean over programs, then over seeds; +- is
the standard deviation over seeds. Finite traces: above capacity (about 0.7 programs/s for Mixed)
the queue grows until arrivals end. A number with > or < lies outside of the rates that were run.
"""

NOTES = Path(__file__).parent / "scheduling_notes.md"
"""What the numbers mean, written by hand; it follows the introduction."""

SWEEPS = {
    "mixed": ("fcfs", "fcfs, no prefix cache"),
    "mixed_short": ("fcfs", "fcfs, no prefix cache"),
    "mixed, 256 seats": ("fcfs", "fcfs, no prefix cache"),
    "engines, own system prompts": ("least_used", "autellix"),
    "engines, shared system prompts": ("least_used", "autellix"),
}
"""Studies with several rates, and the lines that the others are compared with."""


def write_report(rows: Sequence[Row], out: Path) -> None:
    """Write `scheduling.md` and the pictures into a folder."""
    studies: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        studies[row["study"]].append(row)
    parts = [INTRODUCTION.format(python=platform.python_version(), cores=os.cpu_count())]
    parts.append(NOTES.read_text(encoding="utf-8"))
    if "mixed" in studies:
        draw_latency(studies["mixed"], out / "scheduling-mixed.png")
        draw_learning(studies["mixed"], out / "scheduling-learning.png")
    for study, baselines in SWEEPS.items():
        if study in studies:
            title = f"## {study}: programs/s at equal latency\n"
            parts += [title, equal_latency(studies[study], baselines)]
        if study == "mixed":
            parts.append("![s/token by rate](scheduling-mixed.png)\n")
            parts.append("![learning](scheduling-learning.png)\n")
    for study in sorted(studies):
        group = studies[study]
        parts += [f"## {study}\n", table(group)]
        if study == "tenants":
            parts.append(tenant_table(group))
        if study == "chats":
            parts.append(memory_table(group))
    (out / "scheduling.md").write_text("\n".join(parts), encoding="utf-8")


def by_line(rows: Iterable[Row]) -> dict[tuple[str, float], list[Row]]:
    groups: dict[tuple[str, float], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["label"], row["rate"]].append(row)
    return dict(sorted(groups.items(), key=lambda item: item[0]))


def table(rows: Iterable[Row]) -> str:
    lines = [
        "| policy | rate | seeds | programs | s/token | mean s | p50 s | p95 s | p99 s | hits |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (label, rate), group in by_line(rows).items():
        latency = [row["s_per_token"] for row in group]
        spread = f" +- {stdev(latency):.4f}" if len(latency) > 1 else ""
        times = " | ".join(
            f"{fmean(row[name] for row in group):.1f}"
            for name in ("mean_s", "p50_s", "p95_s", "p99_s")
        )
        hits = fmean(row["hit_ratio"] for row in group)
        lines.append(
            f"| {label} | {rate:g} | {len(group)} | {group[0]['programs']} "
            f"| {fmean(latency):.4f}{spread} | {times} | {hits:.1%} |"
        )
    return "\n".join(lines) + "\n"


def latency_curves(rows: Iterable[Row]) -> dict[str, list[tuple[float, float]]]:
    """Return (rate, mean s/token) by policy, rates ascending."""
    curves: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (label, rate), group in by_line(rows).items():
        curves[label].append((rate, fmean(row["s_per_token"] for row in group)))
    return curves


def equal_latency(rows: Sequence[Row], baselines: Sequence[str]) -> str:
    curves = latency_curves(rows)
    found = {label: [crossing(curve, at) for at in TARGETS] for label, curve in curves.items()}
    columns = [f"at {target:g} s/token" for target in TARGETS]
    columns += [f"x {label}" for label in baselines]
    lines = [f"| policy | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for label, values in found.items():
        cells = [show(*value) for value in values]
        cells += [ratio_cell(values, found[base]) for base in baselines]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def ratio_cell(values: Sequence[tuple[float, str]], base: Sequence[tuple[float, str]]) -> str:
    return " / ".join(
        show(rate / base_rate, sign) if not base_sign else "-"
        for (rate, sign), (base_rate, base_sign) in zip(values, base, strict=True)
    )


def crossing(curve: Sequence[tuple[float, float]], latency: float) -> tuple[float, str]:
    """Return the rate at which a curve reaches a latency, and > or < where it lies outside.

    Between two rates the logarithm of the latency is taken as linear.
    """
    if curve[0][1] > latency:
        return curve[0][0], "<"
    for (rate, below), (next_rate, above) in itertools.pairwise(curve):
        if below <= latency <= above:
            share = math.log(latency / below) / math.log(above / below)
            return rate + share * (next_rate - rate), ""
    return curve[-1][0], ">"


def show(value: float, sign: str) -> str:
    return f"{sign}{value:.2f}"


def tenant_table(rows: Sequence[Row]) -> str:
    lines = ["| policy | seed | gold : bronze, engine time (weights 3 : 1) |", "|---|---:|---:|"]
    for row in sorted(rows, key=lambda row: (row["label"], row["seed"])):
        service_s = row["tenant_service_s"]
        ratio = service_s["gold"] / service_s["bronze"]
        lines.append(f"| {row['label']} | {row['seed']} | {ratio:.2f} : 1 |")
    return "\n".join(lines) + "\n"


def memory_table(rows: Sequence[Row]) -> str:
    """Return what bounding the working set gains, and what any such rule could gain at most."""
    means = {
        label: fmean(row["mean_s"] for row in group) for (label, _), group in by_line(rows).items()
    }
    lines = [
        "| policy | mean s without | with working set | gain | gain with unlimited memory |",
        "|---|---:|---:|---:|---:|",
    ]
    for policy in sorted({label.split(",")[0] for label in means}):
        without_s, bounded_s, unlimited_s = (
            means.get(f"{policy}{memory}", math.nan)
            for memory in ("", ", working set", ", unlimited memory")
        )
        lines.append(
            f"| {policy} | {without_s:.1f} | {bounded_s:.1f} | {without_s / bounded_s:.2f}x "
            f"| {without_s / unlimited_s:.2f}x |"
        )
    return "\n".join(lines) + "\n"


def draw_latency(rows: Sequence[Row], path: Path) -> None:
    figure, axes = _figure()
    for label, curve in latency_curves(rows).items():
        axes.plot(*zip(*curve, strict=True), marker="o", markersize=3, label=label)
    for latency in TARGETS:
        axes.axhline(latency, color="gray", linewidth=0.5)
    axes.set(xlabel="programs per second", ylabel="s per token", yscale="log", title="Mixed")
    axes.legend(fontsize=7, bbox_to_anchor=(1.02, 1), loc="upper left")
    figure.savefig(path, dpi=90, bbox_inches="tight")


def draw_learning(rows: Sequence[Row], path: Path) -> None:
    """Draw latency by order of arrival, with and without a saved history."""
    figure, axes = _figure()
    for (label, rate), group in by_line(rows).items():
        if (
            label.startswith("auto")
            and rate == 1.3
            and "," not in label.removesuffix(", saved history")
        ):
            curve = [fmean(values) for values in zip(*(row["curve"] for row in group), strict=True)]
            axes.plot(range(1, len(curve) + 1), curve, marker="o", markersize=3, label=label)
    axes.set(xlabel="tenth of the programs, by arrival", ylabel="s per token", title="Learning")
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=90, bbox_inches="tight")


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4))
    return figure, figure.subplots()
