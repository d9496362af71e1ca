"""From the nodes of one superstep to the keys that they would not write in program order."""

from __future__ import annotations

from collections.abc import Sequence

from langgraph_parallel.ordering.dependence import Step, fold_order


def keys_in_turn(steps: Sequence[Step]) -> frozenset[str]:
    """Return the keys whose writers have to take turns.

    Without them, a superstep folds plain operands in the order of the nodes' names, and nothing
    else may be written to one key by two nodes.

    Args:
        steps: The nodes of one superstep, in program order.
    """
    writers: dict[str, list[Step]] = {}
    for step in steps:
        for key in step.writes:
            writers.setdefault(key, []).append(step)
    return frozenset(key for key, found in writers.items() if not _in_name_order(key, found))


def _in_name_order(key: str, writers: Sequence[Step]) -> bool:
    names = [step.name for step in writers]
    plain = all(key in step.folds for step in writers)
    return len(writers) < 2 or (plain and fold_order(names) == names)
