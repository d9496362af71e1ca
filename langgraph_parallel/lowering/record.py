"""From what a rewritten graph remembers of its making to which runs and updates are its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langgraph.graph import END, StateGraph
from langgraph.types import Command, StateUpdate

from langgraph_parallel._compat.edges import Foreseen
from langgraph_parallel.errors import RewriteError
from langgraph_parallel.lowering.settings import Reliance
from langgraph_parallel.lowering.threads import Thread
from langgraph_parallel.report.report import ParallelReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """What a rewritten graph remembers of its making."""

    source: Any
    """The graph that was given to `parallelize`."""
    builder: StateGraph[Any, Any, Any, Any]
    """The original topology."""
    report: ParallelReport
    moved: frozenset[str]
    """Nodes whose superstep may differ from the original's."""
    ends: Mapping[frozenset[str], str]
    """Sets of nodes that run together in the last superstep of the graph, with the last of them in
    the original chain."""
    cuts: Mapping[frozenset[str], str | None]
    """Sets of due nodes at which exactly a prefix of the original chain has run, with the last node
    of that prefix; None where nothing of the region has run."""
    relied_on: Mapping[str, frozenset[type]]
    """Keys that are taken to hold plain data when a run begins, with classes whose instances may
    be among it."""
    foreseen: Mapping[str, Foreseen]
    """Where those nodes may go that may go anywhere by themselves; what leads elsewhere makes the
    run follow the original topology."""
    reliance: Reliance
    """What nodes read of what a run is given beside its input, taking it for plain data."""
    sees_steps: bool
    """Whether some node looks at the number of its superstep, which goes on from run to run of a
    thread."""
    turns: Mapping[str, frozenset[str]]
    """The keys that nodes of one superstep write in program order, by node, in program order."""
    starts_tasks: bool
    """Whether nodes that share a superstep call tasks, which need places beside their own."""
    waits_on_threads: bool
    """Whether some of these nodes hold the threads that their tasks need in async runs."""
    width: int
    """Most nodes of a region in one superstep."""
    mark: str
    """Fingerprint of the rewritten topology."""


def fingerprint(builder: StateGraph[Any, Any, Any, Any]) -> str:
    """Return a short name of a graph's topology."""
    parts = [
        *sorted(map(repr, builder.edges)),
        *sorted(map(repr, builder.waiting_edges)),
        *sorted(f"{source}:{name}" for source, b in builder.branches.items() for name in b),
        *sorted(builder.nodes),
    ]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def is_ours(rewrite: Rewrite, thread: Thread | None, given: Any, conflict: str) -> bool:
    """Tell whether the rewritten topology runs this call.

    Raises:
        RewriteError: If the thread is paused in the rewritten topology and the call needs the
            original one.
    """
    if thread is not None and thread.jumped and thread.following:
        return not conflict or given is None or isinstance(given, Command)
    if thread is None or not thread.following:
        if thread is not None and not thread.ours and (given is None or thread.nested):
            # Without an input only what is due runs, and that is for the writer of the thread to
            # say. A nested thread is of one run, and given its input again to go on.
            return False
        return not conflict
    if thread.writer == "other":
        msg = (
            f"This thread is paused at {', '.join(thread.following)} in another parallel form of "
            "the graph, made by an earlier version of it or with other options. Resume it with "
            "those, or move it on by hand with `graph.original.update_state(...)`."
        )
        raise RewriteError(msg)
    if not thread.ours:
        return False
    if conflict and not rewrite.moved.isdisjoint(thread.following):
        msg = (
            f"{conflict} cannot be used while the thread is paused at "
            f"{', '.join(thread.following)}, inside a part that was made parallel; resume it "
            "first, or start such threads with `graph.original`."
        )
        raise RewriteError(msg)
    return not conflict or not rewrite.moved.isdisjoint(thread.following)


def is_inside(
    rewrite: Rewrite, thread: Thread, supersteps: Sequence[Sequence[StateUpdate]]
) -> bool:
    """Tell whether an update stands where only the rewritten topology can take it further."""
    due = frozenset(thread.following)
    # END lets finished nodes write, and they may have started several.
    ends = any(update.as_node == END for updates in supersteps for update in updates)
    return thread.ours and (ends or due in rewrite.cuts or not rewrite.moved.isdisjoint(due))


def name_last(
    rewrite: Rewrite, thread: Thread | None, updates: Sequence[StateUpdate]
) -> list[StateUpdate]:
    """Name the node that an update stands for where LangGraph could not choose among siblings."""
    last = rewrite.ends.get(thread.latest) if thread is not None and thread.ours else None
    return [u._replace(as_node=last) if u.as_node is None and last else u for u in updates]


def _advice(as_node: str | None) -> str:
    if as_node is not None and as_node.startswith("__"):
        return "resume the thread first."
    return "use `graph.original.update_state(...)`: the thread then goes on in the original order."


def check_updates(
    rewrite: Rewrite, thread: Thread, updates: Sequence[StateUpdate]
) -> list[StateUpdate]:
    """Return the updates of one superstep, each with the node that it stands for.

    Raises:
        RewriteError: If one would stand in the middle of a region.
    """
    following = frozenset(thread.following)
    at_cut = following in rewrite.cuts and not thread.finished
    checked = []
    for update in updates:
        as_node = update.as_node
        if as_node == END:
            pass
        elif as_node is None and at_cut:
            # LangGraph cannot tell which of several siblings ran last; the chain can.
            update = update._replace(as_node=rewrite.cuts[following])
        elif not (at_cut and as_node == rewrite.cuts[following]):
            at = as_node or ", ".join(sorted(following))
            msg = (
                f"update_state at {at!r} would stand in the middle of a part that was made "
                f"parallel; {_advice(as_node)}"
            )
            raise RewriteError(msg)
        checked.append(update)
    return checked
