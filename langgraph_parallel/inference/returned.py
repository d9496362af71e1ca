"""From what a node returns to what it writes, and to where it goes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from langgraph.types import Command, Send

from langgraph_parallel.effects import ALL, Effects, Evidence, Keys, bounded, union
from langgraph_parallel.inference.code.datamodel import is_a
from langgraph_parallel.inference.code.state_classes import (
    couples_fields,
    has_fields,
    is_model,
    is_open,
    none_by_default,
)
from langgraph_parallel.inference.machine.certainty import strings_of
from langgraph_parallel.inference.machine.contents import Contents
from langgraph_parallel.inference.machine.recorder import Recorder, Shape
from langgraph_parallel.inference.machine.values import (
    GIVEN,
    WORLD,
    Atom,
    Cell,
    Const,
    Live,
    Made,
    Routed,
    State,
    Value,
    opaque,
    roots_of,
)
from langgraph_parallel.inference.objects.held import place_called
from langgraph_parallel.locations import ANYWHERE, CONTEXT, SETTINGS, Location


@dataclass(frozen=True, slots=True)
class Outcome:
    """What interpreting one function gave."""

    recorder: Recorder
    returned: Value


def effects_of(outcome: Outcome) -> Effects:
    """Return the effects of a function that was interpreted, with what it returns."""
    recorder = outcome.recorder
    effects = Effects(
        reads=recorder.reads,
        mutates=recorder.mutates,
        looks_at=frozenset(recorder.looks_at),
        changes=frozenset(recorder.changes),
        external=frozenset(recorder.external),
        control=frozenset(recorder.control),
        goto=recorder.goto,
        resources=recorder.resources,
        evidence=tuple(recorder.evidence.values()),
    )
    made: list[frozenset[str]] = []
    for atom in outcome.returned:
        before = replace(effects, made=frozenset())
        effects = _with_update(before, atom, recorder)
        made.append(effects.made)
        _expose(atom, recorder)
        _hand_over(atom, recorder)
    if effects.writes is ALL:
        return replace(effects, keeps=frozenset(), made=frozenset())
    # A key that gets a value by being given back is only then no write if it always is given back.
    always = frozenset.intersection(*made) if made else frozenset()
    sometimes = frozenset().union(*made) - always
    sometimes |= bounded(effects.mutates, effects.keeps)
    writes = union(effects.writes, sometimes)
    assert writes is not ALL
    return replace(
        effects,
        reads=union(effects.reads, sometimes),
        writes=writes,
        keeps=effects.keeps - writes,
        made=always - writes,
    )


def _expose(atom: Atom, recorder: Recorder) -> None:
    """Remember which state keys are given objects that live outside the state."""
    if isinstance(atom, Routed):
        for part in atom.update:
            _expose(part, recorder)
    cell = atom.cell if isinstance(atom, Made) else atom
    if not isinstance(cell, Cell):
        return
    for key, value in cell.values.items():
        places = _places_behind(value, 0)
        if places:
            recorder.memory.expose([key], places)


def _hand_over(atom: Atom, recorder: Recorder) -> None:
    """Remember what the node puts into the keys of the state."""
    contents = recorder.memory.contents
    shows = isinstance(atom, Made) and _shown_by(atom, recorder.shape) is not None
    if isinstance(atom, Routed):
        for part in atom.update:
            _hand_over(part, recorder)
    elif (isinstance(atom, Cell) and atom.kind == "dict") or shows:
        _hand_over_each(atom.cell if isinstance(atom, Made) else atom, contents)  # type: ignore[arg-type]
    elif atom == State() and recorder.stored is not ALL:
        pass  # what it has stored in its own copy is known already
    elif not (isinstance(atom, Const) and atom.value is None):
        contents.spoil(ALL)


def _hand_over_each(cell: Cell, contents: Contents) -> None:
    for key, value in cell.values.items():
        contents.put(frozenset({key}), value)
    contents.put(ALL, cell.rest)
    if cell.shared:
        contents.spoil(ALL)


def _places_behind(value: Value, depth: int) -> set[Location]:
    """Return the objects outside the state that a value may be, or hold."""
    places: set[Location] = set()
    for atom in value:
        if isinstance(atom, Live):
            places.add(place_called(atom.obj, None, type(atom.obj).__name__))
            if not is_a(atom.obj, type):
                places.add(ANYWHERE)  # and what it holds
        elif isinstance(atom, Cell) and depth < _DEEPEST_PLACES:
            places |= _places_behind(atom.everything(), depth + 1)
        else:
            roots = roots_of(frozenset({atom}))
            if roots is not ALL and WORLD in roots:
                places.add(ANYWHERE)
            if roots is not ALL and GIVEN in roots:
                places |= {SETTINGS, CONTEXT}
    return places


_DEEPEST_PLACES: Final = 4


def _with_update(effects: Effects, atom: Atom, recorder: Recorder) -> Effects:
    """Add what returning `atom` from the node writes."""
    if isinstance(atom, Const) and atom.value is None:
        return effects
    if isinstance(atom, Cell) and atom.kind == "dict":
        return _with_cell(effects, atom, recorder)
    if isinstance(atom, State):
        whole = Cell(open=recorder.stored is ALL, spread=True)
        for key in recorder.stored if recorder.stored is not ALL else ():
            whole.put(key, opaque(recorder.overlay))
        return _with_cell(effects, whole, recorder)
    if isinstance(atom, Routed):
        return _with_command(effects, atom, recorder)
    if isinstance(atom, Made) and (shown := _shown_by(atom, recorder.shape)) is not None:
        # LangGraph asks an object for every key; what an object lacks is not written.
        plain = frozenset(key for key, is_plain in atom.cell.folds.items() if is_plain)
        return replace(
            effects,
            writes=union(effects.writes, shown),
            folds=(effects.folds | plain) - (shown - plain),
        )
    note = Evidence(what="its return value is not understood")
    return replace(
        Effects.top(),
        external=effects.external | {"unknown"},
        evidence=(*effects.evidence, note),
    )


def _shown_by(atom: Made, shape: Shape) -> frozenset[str] | None:
    """Return the keys that an object made by the node may show; None when they are not known."""
    cls, cell = atom.cls, atom.cell
    if not has_fields(cls) or issubclass(cls, _OF_OTHER_MEANING) or is_open(cls):
        return None
    if cell.open or cell.rest:
        return None
    cell.looked = True
    beside = shape.channels & set(dir(cls)) if shape.channels is not None else frozenset()
    if beside - cell.keys:
        return None  # a method or a property that is called like a key is taken for its value
    # A model does not show what was not set and is None; its own code may set anything.
    skips = is_model(cls) and not couples_fields(cls)
    return frozenset(key for key in cell.keys if not (skips and cell.unset.get(key)))


_OF_OTHER_MEANING: Final = (dict, list, tuple, Command, Send)
"""Classes of results that LangGraph does not ask for attributes."""


def _with_cell(effects: Effects, cell: Cell, recorder: Recorder) -> Effects:
    written: Keys = ALL if cell.open or cell.rest else frozenset(cell.keys)
    if written is not ALL:
        effects, written = _with_own(effects, written, cell, recorder)
    if cell.spread:
        written = union(written, recorder.stored)
        effects, written = _with_copy(effects, written, recorder.shape)
    plain = frozenset(key for key, is_plain in cell.folds.items() if is_plain)
    spoiled = frozenset(cell.keys) - plain
    unknown = written is ALL or effects.writes is ALL
    folds = frozenset() if unknown else (effects.folds | plain) - spoiled
    earlier = effects.writes - effects.folds if effects.writes is not ALL else frozenset()
    return replace(effects, writes=union(effects.writes, written), folds=frozenset(folds) - earlier)


def _with_own(
    effects: Effects, written: frozenset[str], cell: Cell, recorder: Recorder
) -> tuple[Effects, frozenset[str]]:
    """Account for keys that are given back by name: `{"x": 1, "question": state["question"]}`.

    They were read, and so they have a value. What the node has stored in its copy of the state is
    another value, and a reducer would take the old one in once more.
    """
    shape = recorder.shape
    if recorder.stored is ALL or shape.plain is None:
        return effects, written
    same = frozenset(key for key, own in cell.own.items() if own) & shape.plain - recorder.stored
    if shape.attributes:
        # By name a None is written that giving back the object would pass by.
        same = (same & shape.stable) - none_by_default(shape.cls)
        effects = replace(effects, made=effects.made | same)
    return replace(effects, keeps=effects.keeps | same), written - same


def _with_copy(effects: Effects, written: Keys, shape: Shape) -> tuple[Effects, Keys]:
    """Account for returning a copy of the whole state.

    A key that keeps the last value is only given back to itself. A key with a reducer takes its
    value in once more; and what is not known may be one. A class with fields gives back what it
    has made of the values, its defaults included; and of its other names those that are keys.
    """
    if written is ALL or shape.plain is None:
        return replace(effects, reads=ALL), ALL
    again = shape.keys - shape.plain
    kept = (shape.keys & shape.plain) - written
    if shape.attributes:
        again |= (kept - shape.stable) | shape.shown
        kept &= shape.stable
        effects = replace(effects, made=effects.made | kept)
    return (
        replace(effects, reads=union(effects.reads, again), keeps=effects.keeps | kept),
        written | again,
    )


def _with_command(effects: Effects, command: Routed, recorder: Recorder) -> Effects:
    for atom in command.update:
        is_dict = (isinstance(atom, Cell) and atom.kind == "dict") or (
            isinstance(atom, Const) and atom.value is None
        )
        if is_dict:
            effects = _with_update(effects, atom, recorder)
        else:  # a list of pairs, say: any key, and any of them an `Overwrite`
            effects = replace(effects, writes=ALL, folds=frozenset())
    if not command.goto and not command.elsewhere:
        return effects
    names = strings_of(command.goto)
    known = names is not None and not command.elsewhere
    return replace(
        effects,
        control=effects.control | ({"goto"} if known else {"goto", "send"}),
        goto=union(effects.goto, names if known and names is not None else ALL),
    )
