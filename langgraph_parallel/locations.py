"""Locations: the keys of what lies outside of the state, so that memory obeys the rules of keys.

    budget.calls += 1            changes (budget, .calls)
    f"{CACHE}"                   looks at (CACHE, everything in it)
    os.environ["HOME"]           looks at (environment, ['HOME'])
    for row in anything: ...     looks at `ANYWHERE`, which overlaps with all memory

Two accesses meet where they name the same owner and the same part, or one of them all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal["memory", "script", "name", "world"]
"""An object; what a model that answers from a script keeps of where it is in it; the binding of a
global or captured name; a named part of the world."""


@dataclass(frozen=True, slots=True, eq=False)
class Location:
    """A live object and the part of it that is touched, or a named part of the world."""

    owner: Any
    """The object, the namespace or cell of a name, or the name of a part of the world."""
    part: str | None = None
    """An attribute such as `.calls` or an item such as `['k']`; None means all of it."""
    label: str = ""
    """How a report calls it."""
    kind: Kind = "memory"
    fill: str = ""
    """Of a place that is filled once and never changed then, what fills it; empty for all others.
    Whoever comes first fills it with the same."""

    @property
    def owner_key(self) -> object:
        """What two locations of one owner have in common; the owner lives as long as this does."""
        return self.owner if self.kind == "world" else (self.kind == "name", id(self.owner))

    @property
    def is_memory(self) -> bool:
        """Whether it is an object, or a part of one."""
        return self.kind in ("memory", "script")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Location)
            and other.owner_key == self.owner_key
            and other.part == self.part
            and other.kind == self.kind
            and other.fill == self.fill
        )

    def __hash__(self) -> int:
        return hash((self.owner_key, self.part))

    def __str__(self) -> str:
        return self.label or f"{type(self.owner).__name__}{self.part or ''}"


class _Anywhere:
    """The owner of a location that may be any object."""


ANYWHERE: Final = Location(_Anywhere(), None, "an object that is not known")
"""An unknown alias: it overlaps with every object, and with no name and no part of the world."""
ANY_ITEM: Final = Location(ANYWHERE.owner, "[]", "an item of a container that is not known")


def any_attribute(name: str) -> Location:
    """Return the place that an attribute of an unknown object is."""
    return Location(ANYWHERE.owner, f".{name}", f".{name} of an object that is not known")


def world(name: str, part: str | None = None) -> Location:
    """Return a named part of the world, such as `environment`."""
    return Location(name, part, f"the {name}{part or ''}", "world")


def is_given(place: Location) -> bool:
    """Tell whether a place is part of what the caller of a graph gives beside its input."""
    return place.kind == "world" and place.owner in (SETTINGS.owner, CONTEXT.owner)


def context_part(name: str) -> Location:
    """Return the place of one field of the run's context, be it an attribute or an item."""
    return world("context", f".{name}")


HANDLERS: Final = world("handlers")
"""What callback handlers collect, which any model call may add to."""
LOG: Final = world("log")
SCREEN: Final = world("screen")
SETTINGS: Final = world("settings")
"""What the caller of a graph gives as `configurable` and `metadata`: plain data, which each run
makes sure of."""
CONTEXT: Final = world("context")
"""What the caller gives as `context`: what nodes look at of it is plain data, which each run makes
sure of."""
CACHES: Final = world("caches")
"""What `lru_cache` keeps, which any call of a cached function may add to."""
EVENT_LOOPS: Final = world("event loops")
"""The loops that `asyncio.run` makes: a lock that tasks wait for belongs to the loop of the first
one, so that whoever takes one looks at which loops there are."""
_UNORDERED: Final = frozenset({"handlers", "log", "screen", "caches", "event loops"})
"""Parts of the world to which nodes may add in any order, as long as nobody looks in between."""


def ordered_places(places: Iterable[Location]) -> frozenset[Location]:
    """Return the places whose changes have an order: not those to which anybody just adds."""
    return frozenset(p for p in places if p.kind != "world" or p.owner not in _UNORDERED)


def kept_places(places: Iterable[Location]) -> frozenset[Location]:
    """Return the places that must not have changed when a node before fails.

    A model that answers from a script goes on in it with each call, as a server counts its calls:
    that an answer was asked for in vain shows in it, but nowhere else.
    """
    return frozenset(p for p in ordered_places(places) if p.kind != "script")


def overlaps(a: Location, b: Location) -> bool:
    """Tell whether two locations may be the same place, where it matters which comes first."""
    if a.fill and a.fill == b.fill:
        return False
    if a.owner is ANYWHERE.owner or b.owner is ANYWHERE.owner:
        return a.is_memory and b.is_memory and _parts_meet(a.part, b.part)
    if a.owner_key != b.owner_key:
        return False
    return a.part is None or b.part is None or _attribute(a.part) == _attribute(b.part)


def _attribute(part: str) -> str:
    """Return a part as an attribute: `vars(x)['n']` is `x.n`."""
    return f".{part[2:-2]}" if part.startswith("['") else part


def _parts_meet(a: str | None, b: str | None) -> bool:
    """Tell whether parts of two objects may be the same where the objects may be: `[]` is any."""
    if a is None or b is None or a == b:
        return True
    return "[]" in (a, b) and a[0] == b[0] == "["


def meeting(
    some: Iterable[Location], others: Iterable[Location], *, both_change: bool = False
) -> tuple[Location, ...]:
    """Return the places of `some` that may be one of `others`, sorted by label.

    Args:
        some: Places that the earlier node touches.
        others: Places that the later node touches.
        both_change: Both nodes change theirs: places to which anybody may add do not count.

    Complexity: the product of the places of one owner, of which there are few.
    """
    by_owner: dict[object, list[Location]] = {}
    for place in others:
        by_owner.setdefault(place.owner_key, []).append(place)
    anywhere = by_owner.get(ANYWHERE.owner_key)
    memory = [place for places in by_owner.values() for place in places if place.is_memory]
    found = set()
    for place in some:
        if both_change and place.kind == "world" and place.owner in _UNORDERED:
            continue
        if place.owner is ANYWHERE.owner:
            near = memory
        else:
            near = by_owner.get(place.owner_key, [])
            near = [*near, *anywhere] if anywhere and place.is_memory else near
        if any(overlaps(place, other) for other in near):
            found.add(place)
    return tuple(sorted(found, key=str))
