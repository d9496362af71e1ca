"""From numbers of a pair, or of a relaxation, to a probability, with weights kept as data."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any


@lru_cache(maxsize=1)
def load_weights() -> dict[str, Any]:
    """Return the fitted weights: `words`, `bias`, trees for `pairs` and `plans`, `price`."""
    text = files(__package__).joinpath("weights.json").read_text("utf-8")
    weights: dict[str, Any] = json.loads(text)
    return weights


def sum_words(names: Sequence[str]) -> float:
    """Return the log-odds that the word model gives to a pair."""
    weights = load_weights()
    known: dict[str, float] = weights["words"]
    return sum((known.get(name, 0.0) for name in sorted(set(names))), float(weights["bias"]))


def probability(trees: str, row: Sequence[float]) -> float:
    """Return what the named trees say about a row of numbers, from 0 to 1."""
    total = 0.0
    for tree in load_weights()[trees]:
        node = tree
        while isinstance(node, list):
            feature, threshold, low, high = node
            node = low if row[feature] <= threshold else high
        total += node
    return 1 / (1 + math.exp(-total))
