"""From keys that nodes give back to what each of them really writes where it runs beside others.

    {**state, "x": 1}          the values that it was handed: no write, wherever it runs
    state.x = 1; return state  every field, with its default where the key had no value, and as the
                               class has validated it; giving it back makes it so (`Effects.made`)

Of a key that several nodes of a superstep give back, one of them writes it; none where another node
may write it, which then writes what the class would have made of its value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from langgraph_parallel.effects import Effects, bounded
from langgraph_parallel.reading.model import Graph, Region
from langgraph_parallel.reading.nodes import as_written
from langgraph_parallel.reading.validation import can_amend


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What of a node's update is another one's to write, and the other way round."""

    dropped: frozenset[str] = frozenset()
    """Keys that it gives back and that are not to show in its update."""
    remade: frozenset[str] = frozenset()
    """Keys that it writes and that a later node would have given back as the class makes them."""
    restored: frozenset[str] = frozenset()
    """Keys that it is to give back in the place of others if it does not write them."""

    def __bool__(self) -> bool:
        return bool(self.dropped or self.remade or self.restored)


def counted_as_written(
    graph: Graph, region: Region, effects: Mapping[str, Effects]
) -> dict[str, Effects]:
    """Return effects in which a key counts as written that no other node can give back in turn."""
    return {name: _as_written(graph, region, effects, name) for name in region.nodes}


def _as_written(graph: Graph, region: Region, effects: Mapping[str, Effects], name: str) -> Effects:
    found = effects[name]
    if not found.made:
        return found
    nodes = [graph.nodes[other] for other in region.nodes]
    alike = all(node.schema is graph.nodes[name].schema for node in nodes)
    shut = frozenset().union(
        *(bounded(effects[n.name].writes, found.made) for n in nodes if not can_amend(n))
    )
    if not can_amend(graph.nodes[name]) or not alike:
        shut = found.made
    return as_written(found, shut)


def shares_of(
    names: Sequence[str], levels: Sequence[int], effects: Mapping[str, Effects]
) -> dict[str, Share]:
    """Return what each node of a region writes of what is given back, where that is not all.

    Args:
        names: The nodes in program order.
        levels: Their supersteps.
        effects: Their effects.
    """
    made = frozenset().union(*(effects[name].made for name in names))
    shares = {}
    for index, name in enumerate(names):
        found = effects[name]
        touched = bounded(found.writes, made)
        share = Share(
            dropped=frozenset(
                key for key in found.keeps if _is_others(index, key, names, levels, effects)
            ),
            remade=frozenset(k for k in touched if _is_remade(index, k, names, levels, effects)),
            restored=frozenset(
                k for k in touched if _is_restored(index, k, names, levels, effects)
            ),
        )
        if share:
            shares[name] = share
    return shares


def _is_others(
    index: int,
    key: str,
    names: Sequence[str],
    levels: Sequence[int],
    effects: Mapping[str, Effects],
) -> bool:
    """Tell whether a key that a node gives back is for another node to write."""
    for other, name in enumerate(names):
        beside = levels[other] == levels[index] and other != index
        if bounded(effects[name].writes, frozenset({key})):
            if beside or (other > index and levels[other] <= levels[index]):
                return True
        elif beside and other > index and key in effects[name].keeps:
            return True
    return False


def _is_remade(
    index: int,
    key: str,
    names: Sequence[str],
    levels: Sequence[int],
    effects: Mapping[str, Effects],
) -> bool:
    """Tell whether a later node, that runs no later now, would have given back what is written."""
    return any(
        key in effects[names[other]].made and levels[other] <= levels[index]
        for other in range(index + 1, len(names))
    )


def _is_restored(
    index: int,
    key: str,
    names: Sequence[str],
    levels: Sequence[int],
    effects: Mapping[str, Effects],
) -> bool:
    """Tell whether a node that may write a key stands in for one that would have given it back.

    That is so of the last one before it, unless that one writes the key or shows it itself, and of
    any that comes after it and runs beside it.
    """
    for other in range(index + 1, len(names)):
        if levels[other] == levels[index] and key in effects[names[other]].made:
            return True
    for other in reversed(range(index)):
        found = effects[names[other]]
        if bounded(found.writes, frozenset({key})):
            return False
        if key in found.made:
            return levels[index] <= levels[other]
    return False
