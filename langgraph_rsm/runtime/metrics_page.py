"""Metrics pages: Prometheus text to the numbers that scheduling looks at."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
_MAX_LINES = 20_000


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """Sums of all samples of each metric, and the labels of those that only have labels to tell."""

    sums: dict[str, float] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of the last sample of each metric whose name ends in `_info`."""

    def first(self, *names: str) -> float | None:
        """Return the sum of the first of these metrics that there is; None if there is none."""
        return next((self.sums[name] for name in names if name in self.sums), None)

    def ratio(self, hits: str, queries: str) -> float | None:
        """Return a share of two counters; None before anything was counted."""
        of, part = self.first(f"{queries}_total", queries), self.first(f"{hits}_total", hits)
        return part / of if of and part is not None else None


def read_metrics(text: str) -> MetricsPage:
    """Return what a page says; what is no sample is left out, histograms too."""
    page = MetricsPage()
    for name, labels, value in _samples(text):
        page.sums[name] = page.sums.get(name, 0.0) + value
        if name.endswith("_info"):
            page.labels[name] = dict(_LABEL.findall(labels))
    return page


def _samples(text: str) -> Iterator[tuple[str, str, float]]:
    for line in text.splitlines()[:_MAX_LINES]:
        if line.startswith("#") or "_bucket{" in line:
            continue
        match = _LINE.match(line)
        if match is None:
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        if math.isfinite(value):
            yield match[1], match[2] or "", value
