"""Which parts of a graph may have several nodes active at once.

    F -> {p, q};  [p, q] -> J -> c -> d        p and q may run together; c and d run alone

LangGraph counts supersteps, so shortening one of two concurrent branches would change what the
other one sees, and how often a node that both lead to is started. A *bracket* is a fork whose
branches all meet again in one node that starts exactly once: outside of it, one node is active at
a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from langgraph_parallel.effects import ALL, Keys
from langgraph_parallel.reading.model import END, START, Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Exits:
    """How a node is left."""

    plain: frozenset[str]
    """Targets of plain edges, without END."""
    joins: tuple[tuple[frozenset[str], str], ...]
    """Waiting edges that the node takes part in: all sources, and the target."""
    routes: Keys
    """Where a conditional edge or `Command` may go, without END; `ALL` when not known."""
    routers: int
    """Number of conditional edges and `Command`s that may start a node."""
    splits: bool
    """True when a router may start several nodes at once."""

    @property
    def forks(self) -> bool:
        """Whether leaving the node may start several nodes."""
        return self.splits or len(self.plain) + len(self.joins) + self.routers > 1


def read_exits(
    graph: Graph,
    routes: Mapping[str, Iterable[tuple[Keys, bool]]],
) -> dict[str, Exits]:
    """Return how each node, and START, is left.

    Args:
        graph: The graph.
        routes: For each node, one entry for each of its conditional edges and `Command`s: where it
            may go, and whether it may start several nodes.
    """
    plain: dict[str, set[str]] = {name: set() for name in (START, *graph.nodes)}
    joins: dict[str, list[tuple[frozenset[str], str]]] = {name: [] for name in plain}
    for source, target in graph.edges:
        if target != END:
            plain[source].add(target)
    for sources, target in graph.joins:
        for source in sources:
            joins[source].append((frozenset(sources), target))
    exits = {}
    for name in plain:
        ways = [way for way in routes.get(name, ()) if not _says_no_more(way, plain[name])]
        known = [targets for targets, _ in ways if targets is not ALL]
        exits[name] = Exits(
            plain=frozenset(plain[name]),
            joins=tuple(joins[name]),
            routes=ALL if len(known) < len(ways) else frozenset().union(*known) - {END},
            routers=len(ways),
            splits=any(several for _, several in ways),
        )
    return exits


def _says_no_more(way: tuple[Keys, bool], plain: set[str]) -> bool:
    """Tell whether a router, or `Command`, leads only where plain edges lead anyway.

    LangGraph starts a node once, however many edges lead to it in one superstep.
    """
    targets, several = way
    return targets is not ALL and not several and targets - {END} <= plain


def find_brackets(exits: Mapping[str, Exits]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the nodes inside brackets, and the forks that open no bracket.

    Where the second set is not empty, several nodes may be active anywhere in the graph.
    """
    inside: set[str] = set()
    unmatched: set[str] = set()
    for name, exit_ in exits.items():
        if not exit_.forks:
            # A waiting edge of one node, or one whose other sources do not come from a fork.
            if exit_.joins and name not in inside:
                unmatched.add(name)
            continue
        branch = _bracket(name, exits)
        if branch is None:
            unmatched.add(name)
        else:
            inside |= branch
    return frozenset(inside), frozenset(unmatched - inside)


def _bracket(fork: str, exits: Mapping[str, Exits]) -> frozenset[str] | None:
    """Return the nodes between `fork` and where its branches meet; None if they do not.

    The branches are followed one superstep at a time. They must advance in step: each node has one
    distance from the fork, so that the meeting node is started by all of them at once (by plain
    edges), or by one waiting edge from the last node of each.
    """
    first = exits[fork]
    if first.joins or first.routes is ALL or (first.plain and first.routers):
        return None
    front = frozenset(first.plain | first.routes)
    depth_of: dict[str, int] = {}
    waiting: set[str] = set()
    for depth in range(len(exits) + 1):
        if depth > 0 and len(front) == 1 and not waiting:
            return _closed(frozenset(depth_of), next(iter(front)), fork, exits)
        following: set[str] = set()
        for name in front:
            exit_ = exits[name]
            if name in depth_of or name == fork or not _has_one_way(exit_):
                return None
            depth_of[name] = depth
            if exit_.joins:
                waiting.add(name)
            following |= exit_.plain
        if not following:
            meeting = _common_join(waiting, exits)
            return None if meeting is None else _closed(frozenset(depth_of), meeting, fork, exits)
        front = frozenset(following)
    return None


def _has_one_way(exit_: Exits) -> bool:
    return not exit_.routers and len(exit_.plain) + len(exit_.joins) <= 1


def _common_join(waiting: set[str], exits: Mapping[str, Exits]) -> str | None:
    """Return the node that all of `waiting`, and nothing else, lead to by one waiting edge.

    Returns:
        Its name; an empty string when nothing waits (all branches end); None when there is none.
    """
    joins = {join for name in waiting for join in exits[name].joins}
    if not joins:
        return ""
    sources, meeting = next(iter(joins))
    return meeting if len(joins) == 1 and sources == waiting else None


def _closed(
    inner: frozenset[str], meeting: str, fork: str, exits: Mapping[str, Exits]
) -> frozenset[str] | None:
    """Return `inner` if nothing but `fork` leads into it and nothing but `meeting` leaves it."""
    if meeting in inner:
        return None
    for name, exit_ in exits.items():
        if name == fork or name in inner:
            continue
        entered = exit_.plain | {target for _, target in exit_.joins}
        entered |= exit_.routes if exit_.routes is not ALL else frozenset()
        if entered & inner or exit_.routes is ALL:
            return None
    return inner
