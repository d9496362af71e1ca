"""The only place that touches what LangGraph does not document; each name is probed, then degrades.

What cannot be found makes a node opaque (and so ordered), never an error.
"""

from __future__ import annotations

import copy
import functools
import inspect
import re
import types
from collections.abc import Callable, Sequence
from typing import Any, Final

from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langgraph.channels import BinaryOperatorAggregate, LastValue
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

try:
    from langgraph._internal._runnable import RunnableCallable, coerce_to_runnable
except ImportError:  # pragma: no cover - a later LangGraph may move it
    RunnableCallable = None  # type: ignore[assignment, misc]

DEFAULT_ERROR_HANDLER: Final = "__default_error_handler__"
INJECTED: Final = ("config", "writer", "store", "runtime", "previous", "error")
"""Parameters that LangGraph fills in by name."""

_STRUCTURE: Final = frozenset(
    {
        "builder",
        "nodes",
        "channels",
        "schema_to_mapper",
        "trigger_to_nodes",
        "input_channels",
        "output_channels",
        "stream_channels",
        "node_error_handler_map",
        "parallel_rewrite",
        "parallel_program",
        "_output_mapper",
        "_state_mapper",
        "_serde_allowlist",
        "__orig_class__",
    }
)
"""Attributes of a compiled graph that its builder determines; every other one is a setting."""


def clone_builder(builder: StateGraph[Any, Any, Any, Any]) -> StateGraph[Any, Any, Any, Any]:
    """Return a copy of a graph under construction that shares no mutable part with it."""
    clone = copy.copy(builder)
    clone.nodes = {
        name: copy.copy(spec)
        for name, spec in builder.nodes.items()
        if name != DEFAULT_ERROR_HANDLER
    }
    clone.edges = set(builder.edges)
    clone.waiting_edges = set(builder.waiting_edges)
    clone.branches = copy.copy(builder.branches)
    for source, branches in builder.branches.items():
        clone.branches[source] = dict(branches)
    clone.channels = dict(builder.channels)
    clone.managed = dict(builder.managed)
    clone.schemas = dict(builder.schemas)
    if hasattr(builder, "_node_defaults"):
        clone._node_defaults = copy.copy(builder._node_defaults)
    clone.compiled = False
    _forget_default_handler(clone)
    return clone


def _forget_default_handler(builder: StateGraph[Any, Any, Any, Any]) -> None:
    """Undo what `compile` wrote into the specs, so that the copy can be compiled again."""
    for spec in builder.nodes.values():
        if getattr(spec, "error_handler_node", None) == DEFAULT_ERROR_HANDLER:
            spec.error_handler_node = None


def has_default(builder: StateGraph[Any, Any, Any, Any], name: str) -> Any:
    """Return what `set_node_defaults` set for every node, or None."""
    return getattr(getattr(builder, "_node_defaults", None), name, None)


def compile_like(
    builder: StateGraph[Any, Any, Any, Any], model: CompiledStateGraph[Any, Any, Any, Any]
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Compile `builder` with every compile and post-compile setting of `model`."""
    compiled = StateGraph.compile(
        builder,
        checkpointer=model.checkpointer,
        cache=model.cache,
        store=model.store,
        interrupt_before=model.interrupt_before_nodes,  # type: ignore[arg-type]
        interrupt_after=model.interrupt_after_nodes,  # type: ignore[arg-type]
        debug=model.debug,
        name=model.name,
        transformers=getattr(model, "stream_transformers", None),
    )
    for name, value in vars(model).items():
        if name not in _STRUCTURE:
            setattr(compiled, name, value)
    for name, node in compiled.nodes.items():
        if name in model.nodes:
            node.tags = model.nodes[name].tags
    return compiled


def settings_of(graph: CompiledStateGraph[Any, Any, Any, Any]) -> dict[str, Any]:
    """Return every compile and post-compile setting of a graph, by name."""
    settings = {name: value for name, value in vars(graph).items() if name not in _STRUCTURE}
    return settings | {f"tags of {name}": node.tags for name, node in graph.nodes.items()}


def is_plain_channel(channel: Any) -> bool:
    """Tell whether a channel keeps one value until it is written again."""
    return type(channel) is LastValue


def is_fold_channel(channel: Any) -> bool:
    """Tell whether a channel folds updates one by one with the user's reducer."""
    return type(channel) is BinaryOperatorAggregate


def reducer_of(channel: Any) -> Callable[..., Any] | None:
    """Return the reducer of a channel, or None when it has none."""
    return getattr(channel, "operator", None)


def fold_order(names: list[str]) -> list[str]:
    """Return nodes of one superstep in the order in which their writes are folded.

    LangGraph sorts the tasks of a superstep by path; for nodes started by an edge that is the name.
    """
    return sorted(names)


def fold_key(name: str, triggers: Sequence[str]) -> tuple[bool, str]:
    """Return where the writes of a task of one superstep are folded, for sorting.

    Those of tasks that were started by a `Send` come last, in the order in which they were sent.
    """
    sent = "__pregel_push" in triggers
    return sent, "" if sent else name


def failed_node(error: BaseException) -> str:
    """Return the node that raised an error, which LangGraph notes on it; else an empty string.

    Of nodes inside of sub-graphs, which note it from the inside out, the name is `outer/inner`.
    """
    notes = "\n".join(getattr(error, "__notes__", ()))
    return "/".join(reversed(re.findall(r"During task with name '(.*)' and id ", notes)))


def is_async_only(runnable: Any) -> bool:
    """Tell whether a node can only be run by `ainvoke`."""
    return getattr(runnable, "func", True) is None


def can_project(runnable: Any) -> bool:
    """Tell whether the update that a node returns can be cut down by `project`."""
    is_plain = RunnableCallable is not None and type(runnable) is RunnableCallable
    return is_plain and not runnable.explode_args and not runnable.kwargs


def project(runnable: Any, kept: frozenset[str]) -> Any:
    """Return a node's runnable without the keys that it only gives back.

    The function is wrapped with `functools.wraps`: name, signature and identity stay what LangGraph
    looks at.
    """
    function = runnable.func if runnable.func is not None else runnable.afunc

    def cut(update: Any) -> Any:
        if not isinstance(update, dict):
            return update
        return {key: value for key, value in update.items() if key not in kept}

    @functools.wraps(function)
    async def project_async(*args: Any, **kwargs: Any) -> Any:
        return cut(await function(*args, **kwargs))

    @functools.wraps(function)
    def project_sync(*args: Any, **kwargs: Any) -> Any:
        return cut(function(*args, **kwargs))

    wrapper = project_sync if runnable.func is not None else project_async
    wrapped = coerce_to_runnable(wrapper, name=runnable.name, trace=runnable.trace)
    wrapped.tags, wrapped.recurse = runnable.tags, runnable.recurse  # type: ignore[attr-defined]
    return wrapped


def replace_runnable(
    builder: StateGraph[Any, Any, Any, Any],
    name: str,
    function: Callable[..., Any],
    *,
    input_schema: Any = None,
) -> None:
    """Let a node of a private builder run another function; the rest of its spec stays.

    Args:
        builder: Changed in place.
        name: The node.
        function: What it runs, without a trace of its own.
        input_schema: What it reads from now on, with channels that may be new; None: as before.
    """
    spec = builder.nodes[name]
    spec.runnable = coerce_to_runnable(function, name=name, trace=False)
    if input_schema is not None:
        builder._add_schema(input_schema)
        spec.input_schema = input_schema


_CALL: Final = "__pregel_call"
_TASK_ID: Final = "__pregel_task_id"


def can_index_calls(config: RunnableConfig) -> bool:
    """Tell whether `index_calls` can be used: in a node of a LangGraph that is built as known."""
    call = config.get("configurable", {}).get(_CALL)
    if not isinstance(call, functools.partial):
        return False
    return callable(call.keywords.get("schedule_task")) and callable(call.keywords.get("submit"))


def index_calls(config: RunnableConfig, index: int, start: Callable[..., Any]) -> RunnableConfig:
    """Return the config under which a functional task of this node has a given index.

    LangGraph finds the saved result of such a task by counting the calls of its node, which for
    concurrent calls differs from run to run.

    Args:
        config: The config that the node was called with; `can_index_calls` holds.
        index: The number that the next call gets.
        start: Starts the task instead of LangGraph's own executor, which holds a slot for the node
            that waits; called with a function and its arguments, it returns a future.
    """
    settings = config["configurable"]
    call, node_id = settings[_CALL], settings.get(_TASK_ID)
    schedule, submit = call.keywords["schedule_task"], call.keywords["submit"]

    def schedule_at(parent: Any, count: int, spec: Any) -> Any:
        # Tasks that this task calls come by here as well; they keep their own numbers.
        return schedule(parent, index if parent.id == node_id else count, spec)

    def submit_own(function: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
        if task.path[1] != own_path or task.path[2] != index:
            return submit()(function, task, *args, **kwargs)
        plain = {key: value for key, value in kwargs.items() if not key.startswith("__")}
        return start(function, task, *args, **plain)

    own_path = _path_of(call)
    indexed = functools.partial(call, schedule_task=schedule_at, submit=lambda: submit_own)
    return {**config, "configurable": {**settings, _CALL: indexed}}


def _path_of(call: functools.partial[Any]) -> Any:
    """Return the path of the node that a call belongs to."""
    node = call.args[0]() if call.args else None
    return getattr(node, "path", None)


def run_slots(config: RunnableConfig) -> Any:
    """Return the semaphore that counts what a run does at a time; None when nothing limits it."""
    call = config.get("configurable", {}).get(_CALL)
    if not isinstance(call, functools.partial):
        return None
    submit = call.keywords["submit"]()
    return getattr(getattr(submit, "__self__", None), "semaphore", None)


def traced(runnable: Any) -> Any:
    """Return a node's runnable with a trace of its own, wherever it is called.

    LangGraph's `messages` stream shows the messages that a run with the name of the node returns.
    """
    if RunnableCallable is None or type(runnable) is not RunnableCallable:
        return runnable
    copied = copy.copy(runnable)
    copied.trace = True
    return copied


def functions_of(runnable: Any) -> list[Callable[..., Any]] | None:
    """Return the user's functions that a node's runnable may run, or None when it has others."""
    stands_in = getattr(type(runnable), "stands_for_function", False)
    if stands_in or (RunnableCallable is not None and type(runnable) is RunnableCallable):
        function = runnable.func if runnable.func is not None else runnable.afunc
        return [function] if function is not None else None
    if type(runnable) is RunnableLambda:
        found = [getattr(runnable, name, None) for name in ("func", "afunc")]
        return [f for f in found if f is not None]
    if isinstance(runnable, Runnable) or not callable(runnable):
        return None
    return [runnable]


def unwrap_callable(
    function: Callable[..., Any],
) -> tuple[types.FunctionType, tuple[Any, ...], dict[str, Any]] | None:
    """Return the Python function behind a callable, with the arguments already bound."""
    if isinstance(function, functools.partial):
        inner = unwrap_callable(function.func)
        if inner is None:
            return None
        code, args, keywords = inner
        return code, (*args, *function.args), {**keywords, **function.keywords}
    if isinstance(function, types.MethodType):
        inner = unwrap_callable(function.__func__)
        return inner and (inner[0], (function.__self__, *inner[1]), inner[2])
    if isinstance(function, types.FunctionType):
        return function, (), {}
    call = inspect.getattr_static(type(function), "__call__", None)
    if isinstance(call, types.FunctionType):
        return call, (function,), {}
    return None
