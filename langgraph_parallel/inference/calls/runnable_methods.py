"""From a method of a runnable, or of its class, to the contact that it makes and what it gives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from langchain_core.language_models import BaseLanguageModel
from langchain_core.runnables import RunnablePassthrough, RunnablePick
from langchain_core.tools import BaseTool
from pydantic import BaseModel

from langgraph_parallel.inference.calls.chains import assigning, is_step
from langgraph_parallel.inference.calls.external import (
    builds_chain,
    calls_give,
    contact_of,
    contact_of_class,
    describe_method,
    formatting_gives,
    gives_of,
    keeps_result,
    runs_chain,
)
from langgraph_parallel.inference.calls.graphs import graph_method, graph_result
from langgraph_parallel.inference.calls.handlers import run_given_handlers
from langgraph_parallel.inference.calls.known import run_callbacks
from langgraph_parallel.inference.calls.plugged_code import run_given
from langgraph_parallel.inference.calls.runnables import run_chain
from langgraph_parallel.inference.calls.tables import PROMPT_CALLS, RUNS_LATER
from langgraph_parallel.inference.code.datamodel import is_a, user_defined
from langgraph_parallel.inference.code.framework import framework
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import is_quiet, strings_of
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    MESSAGE,
    NONE,
    NOTHING,
    Cell,
    Chain,
    Closure,
    Injected,
    Live,
    Object,
    Value,
    const,
    data,
    join,
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
    elif name in PROMPT_CALLS and chain.steps is None:
        return _format(frame, chain, name, given)
    elif runs_chain(name) and name not in PROMPT_CALLS:
        return _run(frame, chain, name, given)
    return unknown(frame, f"calls .{name}()", given.all, given.node)


def _built(frame: Frame, chain: Chain, name: str, given: Arguments) -> Value | None:
    """Return the chain that `.bind(...)`, `.with_structured_output(...)` and the like build."""
    if given.unpacked and not keeps_result(name):
        return None
    if name == "with_structured_output":
        return _structured(frame, chain, given)
    if keeps_result(name):
        return _kept(frame, chain, name, given)
    itself = frozenset({chain})
    if name in ("with_fallbacks", "configurable_alternatives"):
        return _alternatives(itself, name, given)
    if name == "pipe":
        piped = given.positional
        return frozenset({Chain(steps=(itself, *piped))}) if _are_steps(piped) else None
    if name == "map":
        return frozenset({Chain(steps=(itself,), way="each")})
    if name == "assign":
        added = assigning(frame, given)
        return None if added is None else frozenset({Chain(steps=(itself, frozenset({added})))})
    if name == "pick":
        keys = strings_of(given.positional[0]) if given.positional else None
        picks = frozenset(Live(RunnablePick(key)) for key in keys or ())
        return frozenset({Chain(steps=(itself, picks))}) if picks else None
    return None


def _kept(frame: Frame, chain: Chain, name: str, given: Arguments) -> Value | None:
    """Return the chain with something bound to it, which is shown to a model, and not run."""
    if name == "partial":
        run_callbacks(frame, given)  # a variable of a prompt may be a function
    if name == "bind" and not is_quiet(given.all) and not _is_model(chain):
        return None  # a function of the chain is handed it
    return frozenset({chain})


def _is_model(chain: Chain) -> bool:
    """Tell whether a chain is one model, to which things are shown and not passed."""
    if chain.steps is None:
        return chain.external == {"model"}
    atoms = [atom for step in chain.steps for atom in step]
    return len(chain.steps) == 1 and all(
        _is_model(atom)
        if isinstance(atom, Chain)
        else isinstance(atom, Live) and is_a(atom.obj, BaseLanguageModel)
        for atom in atoms
    )


def _alternatives(itself: Value, name: str, given: Arguments) -> Value | None:
    """Return the chain that runs one of some: this one, or those among the arguments."""
    if name == "with_fallbacks":
        others = _flat(join(*given.positional, given.named.get("fallbacks", NOTHING)))
        if "exception_key" in given.named or not all(map(is_step, others)):
            return None
    else:
        others = [a for value in given.named.values() for a in value if is_step(a)]
    return frozenset({Chain(steps=(itself, frozenset(others)), way="any")})


def _are_steps(values: Iterable[Value]) -> bool:
    return all(value and all(map(is_step, value)) for value in values)


def _flat(value: Value) -> list[Any]:
    found: list[Any] = []
    for atom in value:
        found += list(atom.everything()) if isinstance(atom, Cell) else [atom]
    return found


def _structured(frame: Frame, chain: Chain, given: Arguments) -> Value | None:
    """Return a model with structured output: it gives an instance of the schema, validated."""
    if chain.steps is not None:
        return None
    schema = given.positional[0] if given.positional else given.named.get("schema", NOTHING)
    found: Value = NOTHING
    for atom in schema:
        is_class = isinstance(atom, Live) and is_a(atom.obj, type)
        if isinstance(atom, Live) and is_class and issubclass(atom.obj, BaseModel):
            inner = Arguments(given.node, unpacked=tame())
            frame.call(frozenset({atom}), inner)
            found = join(found, frozenset({Object(atom.obj)}), NONE)
        else:
            found = join(found, data())
    raw = given.named.get("include_raw", const(False))
    if raw == const(False):
        return frozenset({Chain(chain.external, found)})
    if raw != const(True):
        return frozenset({Chain(chain.external, join(found, tame(), data()))})
    answers = (("raw", MESSAGE), ("parsed", found), ("parsing_error", join(tame(), NONE)))
    return frozenset({Chain(chain.external, tame(), answers)})


def _format(frame: Frame, chain: Chain, name: str, given: Arguments) -> Value:
    """Run a method of a prompt or parser that only formats or parses."""
    passed = frozenset(a for a in given.all if not isinstance(a, Injected))
    used = frame.use(passed, given.node)
    frame.escape(used, f"passed to .{name}()", frame.where(given.node))
    return chain.gives if name == "parse" else formatting_gives(name)


def _run(frame: Frame, chain: Chain, name: str, given: Arguments) -> Value:
    """Run a chain by one of the methods that run it, once or for each of some inputs."""
    value, settings = _input_of(given)
    where = frame.where(given.node)
    frame.escape(_passed_on(settings), "passed on", where)
    for kind in sorted(chain.external):
        frame.recorder.contact(kind, f".{name}() is a {kind} call", where)
    if "batch" in name or name in ("generate", "agenerate"):
        value = iterate(frame, value, given.node)
    one = run_chain(frame, chain, value, given.node)
    if chain.answers:
        return graph_result(name, one, given, frame)
    return calls_give(name, one)


def _passed_on(settings: Value) -> Value:
    """Return what others may get at that are handed settings, each of which copies them first."""
    config = [a for a in settings if isinstance(a, Cell) and a.kind == "dict" and not a.shared]
    passed = join(settings - frozenset(config), *(cell.everything() for cell in config))
    return frozenset(a for a in passed if not isinstance(a, (Closure, Injected)))


def _input_of(given: Arguments) -> tuple[Value, Value]:
    """Return what a runnable is given, and the settings beside it."""
    value, rest = given.unpacked, given.positional[1:]
    if given.positional:
        value = join(value, given.positional[0])
    value = join(value, *(v for name, v in given.named.items() if name in _INPUTS))
    return value, join(*rest, *(v for name, v in given.named.items() if name not in _INPUTS))


_INPUTS: Final = frozenset({"input", "inputs", "messages", "prompts"})


def runnable_method(frame: Frame, receiver: Any, name: str, given: Arguments) -> Value | None:
    """Return what a method of a live runnable gives; None when it is none that is known."""
    if name in user_defined(type(receiver)) and not is_a(receiver, BaseTool):
        return None  # it is followed like any method
    run_given_handlers(frame, given.all, given.node)
    if is_a(receiver, framework().graphs):
        found = graph_method(frame, receiver, name, given)
        if found is not None:
            return found
    described = None if name in RUNS_LATER else describe_method(frame, receiver, name, given.node)
    if described is not None:
        external, gives = described
        frame.use(frozenset(a for a in given.all if not isinstance(a, Injected)), given.node)
        for kind in sorted(external):
            what = f".{name}() is a {kind} call"
            frame.recorder.contact(kind, what, frame.where(given.node))
        return gives
    if not builds_chain(name) and name not in RUNS_LATER:
        return None
    if name == "with_structured_output":
        contact = contact_of(frame, receiver, given.node)
        return None if contact is None else _structured(frame, Chain(contact), given)
    return chain_method(frame, Chain(steps=(frozenset({Live(receiver)}),)), name, given)


def class_method(frame: Frame, cls: type, name: str, given: Arguments) -> Value | None:
    """Return what `cls.name(...)` gives for a runnable or model; None when it is looked up."""
    if cls is RunnablePassthrough and name == "assign":
        added = assigning(frame, given)
        return None if added is None else frozenset({added})
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
