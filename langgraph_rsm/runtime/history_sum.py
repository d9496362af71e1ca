"""Sums of histories: what a file says, and what a process has learned since it knew the file."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Weights = tuple["Sequence[float]", "Sequence[float]"]

_NOTHING: Weights = ((), ())


def merge_learned(there: Any, now: Any, before: Any) -> dict[str, Any]:
    """Return the document of a file with what somebody has learned added.

    Args:
        there: The file's document.
        now: What the somebody knows.
        before: What they knew when they last read or wrote the file; None for nothing.
    """
    before = before or {"all": _NOTHING, "kinds": {}, "states": [], "calls": []}
    kinds = {
        kind: _add(
            there["kinds"].get(kind, _NOTHING),
            now["kinds"].get(kind, _NOTHING),
            before["kinds"].get(kind, _NOTHING),
        )
        for kind in {**there["kinds"], **now["kinds"]}
    }
    states = [_states(document) for document in (there, now, before)]
    costs = [_costs(document) for document in (there, now, before)]
    return {
        "version": now["version"],
        "all": _add(there["all"], now["all"], before["all"]),
        "kinds": kinds,
        "states": [
            [*key, *_add(*(table.get(key, _NOTHING) for table in states))]
            for key in {**states[0], **states[1]}
        ],
        "calls": [
            [*key, *cost]
            for key in {**costs[0], **costs[1]}
            if (cost := _add_costs(*(table.get(key, (0.0, 0)) for table in costs)))[1]
        ],
    }


def _add(there: Weights, now: Weights, before: Weights) -> list[list[float]]:
    # What has faded since weighs less than before; no weight becomes negative by that.
    return [
        [max(0.0, a + b - c) for a, b, c in zip_longest(*triple, fillvalue=0.0)]
        for triple in zip(there, now, before, strict=True)
    ]


def _add_costs(
    there: tuple[float, int], now: tuple[float, int], before: tuple[float, int]
) -> tuple[float, int]:
    calls = max(there[1], there[1] + now[1] - before[1])
    total_s = there[0] * there[1] + now[0] * now[1] - before[0] * before[1]
    return (max(0.0, total_s / calls), calls) if calls else (0.0, 0)


def _states(document: Any) -> Mapping[tuple[Any, ...], Weights]:
    return {tuple(row[:3]): (row[3], row[4]) for row in document["states"]}


def _costs(document: Any) -> Mapping[tuple[Any, ...], tuple[float, int]]:
    return {tuple(row[:2]): (row[2], row[3]) for row in document["calls"]}
