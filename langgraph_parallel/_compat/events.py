"""What a run of a graph shows of its tasks: their order, and which one failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

TASK_RESULT: Final = "__return__"
"""Under which name a task of the functional API gives its result; it is no channel."""


def fold_key(name: str, triggers: Sequence[str]) -> tuple[bool, str]:
    """Return where the writes of a task of one superstep are folded, for sorting.

    Those of tasks that were started by a `Send` come last, in the order in which they were sent.
    """
    sent = "__pregel_push" in triggers
    return sent, "" if sent else name


def failed_tasks(error: BaseException) -> list[str]:
    """Return the nodes that LangGraph notes on an error, from the inside of sub-graphs out."""
    notes = "\n".join(getattr(error, "__notes__", ()))
    return re.findall(r"During task with name '(.*)' and id ", notes)
