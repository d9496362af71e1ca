"""From a method of a runnable, or of its class, to the contact that it makes and what it gives."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseLanguageModel
from pydantic import BaseModel

from langgraph_parallel.inference.calls.chains import as_chain
from langgraph_parallel.inference.calls.external import (
    builds_chain,
    calls_give,
    contact_of_class,
    describe_method,
    formatting_gives,
    gives_of,
    is_runnable,
    keeps_result,
    runs_chain,
)
from langgraph_parallel.inference.calls.handlers import run_given_handlers
from langgraph_parallel.inference.calls.plugged_code import run_given
from langgraph_parallel.inference.calls.runnables import run_runnable
from langgraph_parallel.inference.calls.tables import PROMPT_CALLS, RUNS_ONCE
from langgraph_parallel.inference.code.datamodel import is_a
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    Atom,
    Cell,
    Chain,
    Closure,
    Injected,
    Live,
    Object,
    Opaque,
    Value,
    data,
    join,
    opaque,
    roots_of,
    tame,
)


def chain_method(frame: Frame, chain: Chain, name: str, given: Arguments) -> Value:
    """Return what a method of a runnable of known parts gives."""
    run_given_handlers(frame, given.all, given.node)
    if builds_chain(name):
        built = _built(frame, chain, name, given)
        if built is not None:
            return built
    elif runs_chain(name):
        return _run_chain(frame, chain, name, given)
    return unknown(frame, f"calls .{name}()", given.all, given.node)


def _built(frame: Frame, chain: Chain, name: str, given: Arguments) -> Value | None:
    """Return the chain that `.bind(...)`, `.with_structured_output(...)` and the like build."""
    if name == "with_structured_output":
        return frozenset({Chain(chain.external, _structured(frame, given))})
    runnables = [a for a in _flat(given.all) if isinstance(a, Chain) or _is_live_runnable(a)]
    parts = [as_chain(frame, a, given.node) for a in runnables]
    code = [a for a in _flat(given.all) if isinstance(a, Closure)]
    if name in ("bind_tools", "bind", "with_config", "with_retry", "with_types"):
        # What is bound here is shown to the model, and not run.
        return frozenset({chain})
    if None in parts or code or any(isinstance(a, Opaque) and not a.tame for a in given.all):
        return None
    external = chain.external.union(*(p.external for p in parts if p))
    gives = chain.gives if keeps_result(name) else join(*(p.gives for p in parts if p))
    if name == "with_fallbacks":
        gives = join(chain.gives, gives)
    return frozenset({Chain(external, gives or opaque())})


def _flat(value: Value) -> list[Any]:
    found: list[Any] = []
    for atom in value:
        found += list(atom.everything()) if isinstance(atom, Cell) else [atom]
    return found


def _structured(frame: Frame, given: Arguments) -> Value:
    """Return what a model with structured output gives: an instance of the schema, validated."""
    schema = given.positional[0] if given.positional else given.named.get("schema", NOTHING)
    raw = given.named.get("include_raw")
    found: Value = NOTHING
    for atom in schema:
        is_class = isinstance(atom, Live) and is_a(atom.obj, type)
        if isinstance(atom, Live) and is_class and issubclass(atom.obj, BaseModel):
            inner = Arguments(given.node, unpacked=tame())
            frame.call(frozenset({atom}), inner)
            found = join(found, frozenset({Object(atom.obj)}), NONE)
        else:
            found = join(found, data())
    return found if raw is None else join(found, tame(), data())


def _run_chain(frame: Frame, chain: Chain, name: str, given: Arguments) -> Value:
    where = frame.where(given.node)
    passed = frozenset(a for a in given.all if not isinstance(a, Injected))
    used = frame.use(passed, given.node)
    frame.escape(used, f"passed to .{name}()", where)
    for kind in sorted(chain.external):
        frame.recorder.contact(kind, f".{name}() is a {kind} call", where)
    if name in PROMPT_CALLS and name != "parse":
        return formatting_gives(name)
    return calls_give(name, chain.gives)


def _is_live_runnable(atom: Atom) -> bool:
    return isinstance(atom, Live) and is_runnable(atom.obj)


def runnable_method(frame: Frame, receiver: Any, name: str, given: Arguments) -> Value | None:
    """Return what a method of a live runnable gives; None when it is none that is known."""
    run_given_handlers(frame, given.all, given.node)
    where = frame.where(given.node)
    if name in RUNS_ONCE and given.positional:
        value, *rest = given.positional
        passed = join(*rest, given.unpacked, *given.named.values())
        frame.escape(
            frozenset(a for a in passed if not isinstance(a, (Closure, Injected))),
            "passed on",
            where,
        )
        return run_runnable(frame, receiver, value, given.node)
    if builds_chain(name):
        chain = as_chain(frame, Live(receiver), given.node)
        built = None if chain is None else _built(frame, chain, name, given)
        if built is not None:
            return built
    found = describe_method(frame, receiver, name, given.node)
    if found is not None:
        external, gives = found
        frame.use(frozenset(a for a in given.all if not isinstance(a, Injected)), given.node)
        for kind in sorted(external):
            frame.recorder.contact(kind, f".{name}() is a {kind} call", where)
        return gives
    return None


def class_method(frame: Frame, cls: type, name: str, given: Arguments) -> Value | None:
    """Return what `cls.name(...)` gives for a runnable or model; None when it is looked up."""
    external = contact_of_class(cls)
    if external is not None and not issubclass(cls, BaseLanguageModel):
        if not run_given(frame, given):
            return None
        frame.escape(given.all, f"passed to .{name}()", frame.where(given.node))
        return frozenset({Chain(external, gives_of(cls))})
    if issubclass(cls, BaseModel) and name in (
        "model_validate",
        "model_validate_json",
        "parse_obj",
    ):
        inner = Arguments(given.node, unpacked=tame(roots_of(given.all)))
        return frame.call(frozenset({Live(cls)}), inner)
    if issubclass(cls, BaseModel) and name in ("model_json_schema", "schema", "schema_json"):
        return data()
    return None
