"""From what a node returns to the update that it shows where it runs beside later nodes.

It stands the checks that making the states of those nodes would have been (`reading.validation`),
and writes of the keys that it gives back what is its share (`reading.given_back`).
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langgraph.types import Command
from pydantic import BaseModel, ValidationError

from langgraph_parallel._compat.updates import operand_of, updates_of
from langgraph_parallel.reading.given_back import Share
from langgraph_parallel.reading.validation import Check

_MISSING: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """How the results of one node are to be amended."""

    keys: Sequence[str]
    """The channels of the graph."""
    share: Share
    checks: tuple[Check, ...]

    def before(self, state: Any) -> _Handed:
        """Remember what the node was handed; it may change the object."""
        return _Handed(state, updates_of(state, self.keys) if self.share.restored else None)

    def after(self, handed: _Handed, result: Any) -> Any:
        """Return the update to show.

        Raises:
            ValidationError: If a later node's state could not have been made of it.
        """
        updates = updates_of(result, self.keys)
        if updates is None:
            return result
        made = [_make(check, handed, updates) for check in self.checks]
        if not self.share:
            return result
        kept = dict(result) if isinstance(result, dict) else updates
        shown = {key: value for key, value in kept.items() if key not in self.share.dropped}
        for key in self.share.remade & shown.keys():
            for state in made:
                shown[key] = getattr(state, key, shown[key])
        for key in self.share.restored - shown.keys():
            if key in handed.shown:
                shown[key] = handed.shown[key]
        return dataclasses.replace(result, update=shown) if isinstance(result, Command) else shown


class _Handed:
    """The values that a node was handed."""

    __slots__ = ("given", "shown")

    def __init__(self, state: Any, shown: Mapping[str, Any] | None) -> None:
        self.given = dict(state) if isinstance(state, dict) else dict(_fields_of(state))
        """Those of which the state was made."""
        if isinstance(state, BaseModel):
            self.given = {k: v for k, v in self.given.items() if k in state.model_fields_set}
        self.shown = shown or {}
        """What giving the state back would write."""


def _fields_of(state: Any) -> Mapping[str, Any]:
    if dataclasses.is_dataclass(state):
        fields = dataclasses.fields(state)
        return {f.name: getattr(state, f.name) for f in fields if hasattr(state, f.name)}
    return vars(state) if isinstance(state, BaseModel) else {}


def _make(check: Check, handed: _Handed, updates: Mapping[str, Any]) -> Any:
    """Make the state that a later node would have been handed; None when that says nothing."""
    fields = check.schema.model_fields
    given = {key: value for key, value in handed.given.items() if key in fields}
    checked = set()
    for key, value in updates.items():
        if key in fields and (found := _folded(check, key, given, value)) is not _MISSING:
            given[key] = found
            checked.add(key)
    try:
        return check.schema(**given)
    except ValidationError as error:
        if any(found["loc"] and found["loc"][0] in checked for found in error.errors()):
            raise
        return None


def _folded(check: Check, key: str, given: Mapping[str, Any], value: Any) -> Any:
    """Return what a channel will hold; `_MISSING` when LangGraph has its own error to show."""
    reducer = check.reducers.get(key)
    if reducer is None:
        return value
    operand, is_whole = operand_of(value)
    if is_whole or key not in given:
        return operand
    try:
        return reducer(*copy.deepcopy((given[key], operand)))
    except Exception:
        return _MISSING
