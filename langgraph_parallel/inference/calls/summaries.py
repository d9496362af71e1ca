"""From a call of a helper with plain arguments to what it does, found once for all nodes.

A helper that is handed strings, numbers and containers of such sees nothing of who calls it, so it
does for every caller what it did for the first: it is followed in a recorder of its own, and what
that one holds is added to each caller's. What nodes store outside is in `Memory` for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.recorder import Recorder
from langgraph_parallel.inference.machine.values import Cell, Const, Data, Value, join

_MOST_PASSES: Final = 6
_DEEPEST: Final = 3
"""Levels of containers in an argument or result."""

Follow: TypeAlias = Callable[[Recorder, Arguments], Value]
"""Runs a body once, with what it runs later, in the given recorder on the given arguments."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a helper does when it is called with arguments of one form."""

    recorder: Recorder
    returned: Value


def summary_of(caller: Recorder, function: Any, given: Arguments, follow: Follow) -> Summary | None:
    """Return what a call does, found now or before; None when it is to be followed in place."""
    form = _form_of(given)
    if form is None:
        return None
    known = caller.memory.summaries
    key = (function, form, caller.trusts_calls)
    if key not in known:
        known[key] = None  # A call of itself is followed in place.
        known[key] = _summarize(caller, given, follow)
    found: Summary | None = known[key]
    if found is None or not caller.has_leaked:
        return found
    # Any container may hold what the caller has put into some container.
    sees_none = not (found.recorder.looks_at or found.recorder.changes)
    return found if sees_none and next(_cells(given.all), None) is None else None


def apply(summary: Summary, caller: Recorder, site: Any) -> Value:
    """Add what a call does to what its caller does; return what it gives at this place."""
    caller.take_in(summary.recorder)

    def cell_for(cell: Cell) -> Cell:
        return caller.cells.setdefault(("summary", id(site), id(cell)), Cell(cell.kind))

    return _copied(summary.returned, cell_for, caller)


def _summarize(caller: Recorder, given: Arguments, follow: Follow) -> Summary | None:
    recorder = Recorder(caller.shape, caller.memory, trusts_calls=caller.trusts_calls)
    recorder.budget = caller.budget
    recorder.trail = list(caller.trail)
    copies: dict[int, Cell] = {}

    def cell_for(cell: Cell) -> Cell:
        return copies.setdefault(id(cell), Cell(cell.kind))

    arguments = replace(
        given,
        positional=tuple(_copied(value, cell_for, recorder) for value in given.positional),
        named={name: _copied(value, cell_for, recorder) for name, value in given.named.items()},
    )
    returned = _settled(recorder, arguments, follow)
    if returned is None or _form_of(arguments) != _form_of(given):
        return None
    gives = join(returned, recorder.raised)
    if _form(returned) is None or _form(recorder.raised) is None:
        return None
    is_apart = {id(copy) for copy in copies.values()}.isdisjoint(map(id, _cells(gives)))
    return Summary(recorder, returned) if is_apart else None


def _settled(recorder: Recorder, arguments: Arguments, follow: Follow) -> Value | None:
    """Return what the body gives once nothing grows; None where a part was not followed."""
    for _ in range(_MOST_PASSES):
        recorder.grown = False
        recorder.known_calls.clear()
        before = recorder.settled_by
        returned = follow(recorder, arguments)
        if recorder.cuts:
            return None
        if before == recorder.settled_by and not recorder.grown:
            return returned
        recorder.generators.clear()
    return None


def _form_of(given: Arguments) -> Any:
    """Return what arguments have in common whose calls do the same; None where none may be."""
    if given.unpacked:
        return None
    positional = tuple(map(_form, given.positional))
    named = frozenset((name, _form(value)) for name, value in given.named.items())
    is_plain = None not in positional and all(form is not None for _, form in named)
    return (positional, named) if is_plain else None


def _form(value: Value, depth: int = 0) -> Any:
    """Return a value without the identity of its containers.

    None for one that is not just plain data, or of which the state or others may hold a part.
    """
    forms = []
    for atom in value:
        form: Any = atom
        if isinstance(atom, Cell):
            form = _form_of_cell(atom, depth)
        elif not isinstance(atom, Const) and not (isinstance(atom, Data) and _is_bare(atom)):
            return None
        if form is None:
            return None
        forms.append(form)
    return frozenset(forms)


def _is_bare(atom: Data) -> bool:
    return not atom.roots and atom.parts is None and atom.deep


def _form_of_cell(cell: Cell, depth: int) -> Any:
    cell.looked = True
    is_closed = not (cell.open or cell.shared or cell.spent or cell.spread or cell.roots)
    if not is_closed or cell.kind == "object" or depth == _DEEPEST:
        return None
    values = frozenset((key, _form(value, depth + 1)) for key, value in cell.values.items())
    rest = _form(cell.rest, depth + 1)
    if rest is None or any(form is None for _, form in values):
        return None
    return cell.kind, values, rest


def _copied(value: Value, cell_for: Callable[[Cell], Cell], recorder: Recorder) -> Value:
    """Return a value with the content of each container in one that `cell_for` names."""
    return frozenset(
        _filled(cell_for(atom), atom, cell_for, recorder) if isinstance(atom, Cell) else atom
        for atom in value
    )


def _filled(copy: Cell, cell: Cell, cell_for: Callable[[Cell], Cell], recorder: Recorder) -> Cell:
    for key, value in cell.values.items():
        recorder.grown |= copy.put(key, _copied(value, cell_for, recorder))
    if cell.rest:
        recorder.grown |= copy.add(_copied(cell.rest, cell_for, recorder))
        recorder.grown |= copy.add_index(_copied(cell.index, cell_for, recorder))
    return copy


def _cells(value: Value) -> Iterator[Cell | Data]:
    """Yield the containers in a value that is plain data."""
    for atom in value:
        if isinstance(atom, Cell):
            yield atom
            yield from _cells(join(atom.rest, *atom.values.values()))
        elif isinstance(atom, Data) and not atom.scalar:
            yield atom
