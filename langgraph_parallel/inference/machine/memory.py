"""What the nodes of one graph do to memory, and what each of them takes for granted about it.

The analysis looks at live objects: it follows `self.llm` because it sees which model stands there.
That is right as long as no node puts something else there. So each such look is an *assumption*,
and each store is kept; where one of the first meets one of the second, the nodes are analyzed once
more, and then the place holds what may have been stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from langgraph_parallel.effects import ALL, Keys
from langgraph_parallel.locations import ANYWHERE, Location, overlaps

Content: TypeAlias = Literal["seen", "scalar", "data", "unknown"]
"""What a place holds while the graph runs: what was seen in it when the graph was analyzed; that,
or immutable built-ins; that, or plain data; anything."""
_ORDER: tuple[Content, ...] = ("seen", "scalar", "data", "unknown")


def worse(a: Content, b: Content) -> Content:
    """Return the one of two contents that says less."""
    return max(a, b, key=_ORDER.index)


@dataclass(slots=True)
class Memory:
    """Stores and assumptions of the nodes of one graph."""

    stored: dict[object, dict[Location, Content]] = field(default_factory=dict)
    """By owner, what nodes put into its parts."""
    assumed: dict[Location, Content] = field(default_factory=dict)
    """Places that were looked into, and what was taken for granted about them."""
    is_stale: bool = False
    """True once a store has met an assumption: what was found before it does not hold."""
    classes: tuple[type, ...] | None = None
    """Classes with code of the user's, once they were looked for."""
    looked: dict[str, frozenset[Location] | None] = field(default_factory=dict)
    """What doing something to an object of any class looks at; None where it may do more."""
    opens: bool = False
    """True when a node may load or make classes that nobody has seen yet."""
    was_closed: bool = False
    """True once it was taken for granted that all classes have been seen."""
    exposed: dict[str, set[Location]] = field(default_factory=dict)
    """State keys whose value may be an object that lives outside the state."""
    summaries: dict[Any, Any] = field(default_factory=dict)
    """What calls of helpers do, whoever calls them (`calls.summaries`)."""

    def content(self, place: Location) -> Content:
        """Return what may be taken for granted about a place, and remember that it was."""
        found = self._content(place)
        self.assumed[place] = worse(self.assumed.get(place, "seen"), found)
        return found

    def _content(self, place: Location) -> Content:
        found: Content = "seen"
        for owner in (place.owner_key, ANYWHERE.owner_key):
            for other, content in self.stored.get(owner, {}).items():
                if overlaps(place, other):
                    found = worse(found, content)
        return found

    def store(self, place: Location, content: Content) -> None:
        """Record that a node puts something into a place."""
        known = self.stored.setdefault(place.owner_key, {})
        new = worse(known.get(place, "seen"), content)
        if known.get(place) == new:
            return
        known[place] = new
        if any(
            overlaps(place, other) and worse(taken, new) != taken
            for other, taken in self.assumed.items()
            if other.owner_key == place.owner_key or place.owner is ANYWHERE.owner
        ):
            self.is_stale = True

    def close_world(self) -> bool:
        """Take for granted that all classes have been seen; return whether that may be done."""
        self.was_closed = self.was_closed or not self.opens
        return not self.opens

    def open_world(self) -> None:
        """Record that a node may load or make classes that nobody has seen."""
        self.is_stale = self.is_stale or self.was_closed
        self.opens = True

    def expose(self, keys: Iterable[str], places: set[Location]) -> None:
        """Record that the value of state keys may be one of `places`."""
        for key in keys:
            self.exposed.setdefault(key, set()).update(places)

    def behind(self, keys: Keys) -> frozenset[Location]:
        """Return the places outside the state at which somebody looks who reads `keys`."""
        return frozenset(
            place
            for key, places in self.exposed.items()
            if keys is ALL or key in keys
            for place in places
        )

    def forget_assumptions(self) -> None:
        """Begin the analysis of the nodes once more, with the stores that are known by now."""
        self.assumed = {}
        self.summaries = {}
        self.was_closed = False
        self.looked = {}
        self.is_stale = False


def part_of_item(key: Any) -> str:
    """Return the part of a container that an item is."""
    return f"[{key!r}]"
