"""Places that are filled when they are first asked for: which node comes first cannot be told.

    if _llm is None:                        if self._llm is not None:
        _llm = ChatOpenAI(model="m")            return self._llm
    return _llm                             self._llm = ChatOpenAI(model="m")

What is made depends on nothing but constants, on which object it is asked of and on what is looked
at, and making it touches nothing. Two nodes that come at once may make two of it, as two callers of
a function under `lru_cache` may: each goes on with something that stands for the same.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from langgraph_parallel.inference.calls.live_calls import shared
from langgraph_parallel.inference.code.datamodel import (
    find,
    instance_dict,
    is_a,
    is_users,
    names_of,
)
from langgraph_parallel.inference.machine.frame import Frame, join_envs
from langgraph_parallel.inference.machine.recorder import Recorder
from langgraph_parallel.inference.machine.values import Chain, Const, Live, Value, opaque
from langgraph_parallel.inference.objects.held import place_of
from langgraph_parallel.locations import ANYWHERE, Location, ordered_places

_MOST_PASSES: Final = 4
_LASTING: Final = frozenset({"environment"})
"""Parts of the world that nothing changes but what is seen to change it."""


@dataclass(frozen=True, slots=True)
class _Fill:
    """One place in the code that fills another, and what it runs for it."""

    target: ast.Name | ast.Attribute
    body: Sequence[ast.stmt]
    value: ast.expr
    leaves: Sequence[ast.stmt]
    """What is run where the place is filled already."""
    by_truth: bool
    """Whether whatever counts as false is replaced, too."""


def fill_once(frame: Frame, node: ast.If) -> bool:
    """Fill a place as a whole where that is all that a statement does; return whether it was.

    Args:
        frame: Where it stands.
        node: The statement.
    """
    fill = _fill_of(frame, node)
    place = None if fill is None else _place_of(frame, fill, node)
    if fill is None or place is None or frame.recorder.memory.content(place) != "seen":
        return False
    before = dict(frame.env or {})
    found = _make_apart(frame, fill)
    if found is None:
        frame.env = before
        return False
    frame.recorder.change(place, frame.where(node), opaque())
    frame.filled[ast.unparse(fill.target)] = found
    frame.done.update(map(id, fill.body))
    frame.env, after = before, frame.env
    frame.run(list(fill.leaves))
    frame.env = join_envs(before, after)
    return True


def _make_apart(frame: Frame, fill: _Fill) -> Value | None:
    """Return what the place is filled with; None where making it does more than that."""
    own, trial = frame.recorder, None
    entry = dict(frame.env or {})
    try:
        for _ in range(_MOST_PASSES):
            trial = trial or Recorder(own.shape, own.memory)
            trial.budget, trial.trail, trial.grown = own.budget, list(own.trail), False
            trial.known_calls.clear()
            frame.recorder, frame.env = trial, dict(entry)
            settled = trial.settled_by
            frame.run(list(fill.body[:-1]))
            found = frame.evaluate(fill.value)
            if settled == trial.settled_by and not trial.grown:
                break
        else:
            return None
        found = shared(frame, found)
    finally:
        frame.recorder = own
    is_one = all(isinstance(atom, (Chain, Live)) for atom in found)
    if not found or frame.env is None or not _is_quiet(trial) or (fill.by_truth and not is_one):
        return None
    own.take_in(trial)
    return found


def _is_quiet(trial: Recorder) -> bool:
    """Tell whether it makes no difference when, and how often, something was done."""
    told = (trial.external, trial.reads, trial.mutates, trial.leaked, trial.resources)
    if any(told) or trial.control - {"raise"} or trial.cuts or trial.late:
        return False
    lasting = all(
        place.kind != "world" or place.owner in _LASTING for place in ordered_places(trial.looks_at)
    )
    others = [p for p in ordered_places(trial.changes) if not p.fill]
    return lasting and not others and ANYWHERE not in trial.looks_at


# -- what the code says ----------------------------------------------------------------------------


def _fill_of(frame: Frame, node: ast.If) -> _Fill | None:
    """Return what a statement fills, where it is of one of the known forms."""
    asked = _asked(node.test)
    if asked is None or node.orelse:
        return None
    place, is_missing, by_truth = asked
    if is_missing:
        found = _assigned_last(node.body, place)
        return found and _Fill(*found, (), by_truth)
    leaves = node.body
    if len(leaves) != 1 or not isinstance(leaves[0], ast.Return):
        return None
    around = getattr(frame.source.node, "body", None)
    if not isinstance(around, list) or node not in around:
        return None
    rest = around[around.index(node) + 1 :]
    for count, statement in enumerate(rest, 1):
        if _target_of(statement) == ast.unparse(place):
            found = _assigned_last(rest[:count], place)
            return found and _Fill(*found, leaves, by_truth)
    return None


def _asked(test: ast.expr) -> tuple[ast.Name | ast.Attribute, bool, bool] | None:
    """Return which place a test asks for, whether for its absence, and whether by its truth."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        place, is_missing, by_truth = test.operand, True, True
    elif isinstance(test, ast.Compare) and len(test.ops) == 1:
        other = test.comparators[0]
        if not (isinstance(other, ast.Constant) and other.value is None):
            return None
        if not isinstance(test.ops[0], (ast.Is, ast.IsNot)):
            return None
        place, is_missing, by_truth = test.left, isinstance(test.ops[0], ast.Is), False
    else:
        place, is_missing, by_truth = test, False, True
    is_place = isinstance(place, ast.Name) or (
        isinstance(place, ast.Attribute) and isinstance(place.value, ast.Name)
    )
    return (place, is_missing, by_truth) if is_place else None  # type: ignore[return-value]


def _assigned_last(
    body: Sequence[ast.stmt], place: ast.expr
) -> tuple[Any, Sequence[ast.stmt], ast.expr] | None:
    """Return the target, statements and value of a body that ends in filling `place`."""
    *first, last = body
    if _target_of(last) != ast.unparse(place) or not isinstance(last, (ast.Assign, ast.AnnAssign)):
        return None
    names = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    if not all(isinstance(part, names) for part in first) or last.value is None:
        return None
    for part in first:
        target = _target_of(part)
        if isinstance(part, (ast.Assign, ast.AnnAssign)) and (target is None or "." in target):
            return None
    return place, body, last.value


def _target_of(statement: ast.stmt) -> str | None:
    """Return the spelling of the one name or attribute that a statement assigns."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    elif isinstance(statement, ast.Assign):
        targets = statement.targets
    if len(targets) != 1 or not isinstance(targets[0], (ast.Name, ast.Attribute)):
        return None
    return ast.unparse(targets[0])


# -- where it stands -------------------------------------------------------------------------------


def _place_of(frame: Frame, fill: _Fill, node: ast.If) -> Location | None:
    """Return the place that is filled, which holds None now; None where it is another thing."""
    site = _site_of(frame, fill, node)
    if site is None or frame.env is None or frame.weak or frame.loops or frame.snapshots:
        return None
    target = fill.target
    if isinstance(target, ast.Name):
        return _name_of(frame, target.id, site)
    assert isinstance(target.value, ast.Name)
    owners = frame.evaluate(target.value)
    owner = next(iter(owners), None)
    if len(owners) != 1 or not isinstance(owner, Live) or not _is_bare(owner.obj, target.attr):
        return None
    place = place_of(frame, owner.obj, f".{target.attr}")
    return Location(place.owner, place.part, place.label, place.kind, site)


def _name_of(frame: Frame, name: str, site: str) -> Location | None:
    if name not in frame.outer_names or (frame.parent is not None and frame.parent.binds(name)):
        return None
    place = frame.place_of_name(name)
    try:
        held = frame.cells[name].cell_contents if name in frame.cells else frame.namespace[name]
    except (KeyError, ValueError):
        return None
    return Location(place.owner, place.part, name, "name", site) if held is None else None


def _is_bare(owner: Any, name: str) -> bool:
    """Tell whether an object has None as a plain attribute of its own."""
    own = names_of(owner) if is_a(owner, type) else instance_dict(owner)
    if name.startswith("__") or own.get(name, owner) is not None:
        return False
    found = find(type(owner), name)
    if found is not None and not (found[1] is None or is_a(owner, type)):
        return False
    hooks = (find(type(owner), h) for h in ("__getattribute__", "__setattr__"))
    return not any(hook is not None and is_users(hook[1]) for hook in hooks)


def _site_of(frame: Frame, fill: _Fill, node: ast.If) -> str | None:
    """Return what decides on what is made: the code and what it is handed; None where that is open.

    The objects live as long as the code that names them.
    """
    made = {target for part in fill.body if (target := _target_of(part)) is not None}
    made |= {
        (alias.asname or alias.name).split(".")[0]
        for part in fill.body
        if isinstance(part, (ast.Import, ast.ImportFrom))
        for alias in part.names
    }
    used = {
        part.id
        for statement in fill.body
        for part in ast.walk(statement)
        if isinstance(part, ast.Name)
    } | {name.id for name in ast.walk(fill.target) if isinstance(name, ast.Name)}
    handed = []
    for name in sorted((used & frame.local_names) - made):
        value = (frame.env or {}).get(name, frozenset())
        atom = next(iter(value), None)
        if len(value) != 1 or not isinstance(atom, (Const, Live)):
            return None
        handed.append(
            f"{name}={atom.kind.__name__}{atom.value!r}"
            if isinstance(atom, Const)
            else f"{name}={id(atom.obj)}"
        )
    if frame.parent is not None or any(isinstance(p, ast.Lambda) for p in ast.walk(fill.value)):
        return None
    return " ".join((frame.source.filename, str(node.lineno), str(node.col_offset), *handed))
