"""From `x.name(...)` to what the method gives, by the kind of receiver."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any, Final

from langgraph_parallel.inference.calls.agents import override
from langgraph_parallel.inference.calls.clients import store_method
from langgraph_parallel.inference.calls.container_methods import cell_method
from langgraph_parallel.inference.calls.data_methods import data_method
from langgraph_parallel.inference.calls.function_calls import call_function
from langgraph_parallel.inference.calls.object_methods import object_method
from langgraph_parallel.inference.calls.runnable_methods import chain_method
from langgraph_parallel.inference.calls.screen import pretty_print
from langgraph_parallel.inference.calls.writing import write_stream
from langgraph_parallel.inference.code.datamodel import is_users
from langgraph_parallel.inference.door.attributes import attribute_of, own_member
from langgraph_parallel.inference.door.filling import cell_at, merge_into
from langgraph_parallel.inference.door.injected import injected_part
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import constants_of
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    STATE,
    Atom,
    Cell,
    Chain,
    Const,
    Data,
    Injected,
    Live,
    Made,
    Object,
    Opaque,
    State,
    Value,
    join,
)


def _injected_method(frame: Frame, atom: Injected, name: str, given: Arguments) -> Value:
    """Return what a method of `config`, `runtime` or `store` gives."""
    if atom.name == "store":
        return store_method(frame, name, given)
    if atom.name in ("model_request", "tool_request") and name == "override":
        return override(frame, atom, given)
    if atom.name in ("runtime", "tool_runtime") and name == "stream_writer":
        return write_stream(frame, given)
    if name == "get" and given.positional:
        names = constants_of(given.positional[0])
        known = frozenset(map(str, names)) if names is not None else None
        return join(injected_part(frame, atom, known, given.node), *given.positional[1:])
    if atom.name in ("config", "settings", "metadata", "context") and name in _OF_ALL:
        copy = cell_at(frame, given.node)
        merge_into(frame, copy, atom, given.node)
        return cell_method(frame, copy, _OF_ALL[name], given)
    return unknown(frame, f"calls {atom.name}.{name}()", given.all, given.node)


_OF_ALL: Final = {name: name for name in ("items", "keys", "values", "copy")} | {
    "model_dump": "copy"
}
"""Methods that look at all of a mapping, with what they are on a copy of it."""


def _state_method(frame: Frame, atom: State, name: str, given: Arguments) -> Value:
    """Call a method of the state: one that its class defines is run on the state itself."""
    function = own_member(frame, name, given.node)
    if type(function) is types.FunctionType and is_users(function):
        return call_function(frame, function, given.after(STATE))
    return frame.call(attribute_of(frame, atom, name, given.node), given)


def _data_method(frame: Frame, atom: Const | Data | Opaque, name: str, given: Arguments) -> Value:
    is_known = not isinstance(atom, Opaque) or atom.tame
    if name == "pretty_print" and is_known:
        frame.use(frozenset({atom}), given.node)
        return pretty_print(frame, given)
    return data_method(frame, atom, name, given)


_METHODS: Final[Mapping[type[Atom], Callable[[Frame, Any, str, Arguments], Value]]] = {
    State: _state_method,
    **dict.fromkeys((Const, Data, Opaque), _data_method),
    Cell: cell_method,
    Chain: chain_method,
    Injected: _injected_method,
    **dict.fromkeys((Live, Made, Object), object_method),
}
"""The rule for calling a method of each kind of atom."""


def method_of(frame: Frame, atom: Atom, name: str, given: Arguments) -> Value:
    """Return what `atom.name(...)` gives."""
    rule = _METHODS.get(type(atom))
    if rule is not None:
        return rule(frame, atom, name, given)
    involved = join(frozenset({atom}), given.all)
    return unknown(frame, f"calls .{name}()", involved, given.node)
