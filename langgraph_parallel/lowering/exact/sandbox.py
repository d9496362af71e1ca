"""The configuration that an early node is handed: its own, but without anything to act through.

It names the superstep that the node will have. What reaches into the run, such as an interrupt, a
task, the store or the checkpoint, ends the early run; the node then runs in its own time.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, cast

from langchain_core.runnables.config import RunnableConfig
from langgraph.runtime import Runtime

from langgraph_parallel._compat.tasks import PULL, TASK_METADATA, early_configurable, runtime_of
from langgraph_parallel.effects import METADATA_KEY
from langgraph_parallel.lowering.exact.events import HeldEvents, make_recorder


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NodeSetting:
    """What LangGraph adds to the configuration of one node."""

    name: str
    triggers: tuple[str, ...]
    metadata: Mapping[str, Any]
    tags: tuple[str, ...]
    remaining: float
    """Longest way from the start of this node to the end of its region, in seconds or calls."""
    unit: str
    """Unit of `remaining`."""


class Forbidden:
    """Ends an early run when it is used in any way.

    Args:
        refuse: Raises, after noting that the run is given up.
        what: What it stands for.
    """

    __slots__ = ("_refuse", "_what")
    _refuse: Callable[[str], NoReturn]
    _what: str

    def __init__(self, refuse: Callable[[str], NoReturn], what: str) -> None:
        object.__setattr__(self, "_refuse", refuse)
        object.__setattr__(self, "_what", what)

    def _stop(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse(self._what)

    __call__ = __bool__ = __getattr__ = __getitem__ = __iter__ = __len__ = _stop
    __eq__ = __ne__ = __hash__ = __repr__ = __str__ = __setattr__ = _stop


def early_config(
    given: RunnableConfig,
    launcher: NodeSetting,
    setting: NodeSetting,
    step: int,
    held: HeldEvents,
    refuse: Callable[[str], NoReturn],
) -> RunnableConfig:
    """Return the configuration for a node that runs early.

    Args:
        given: The configuration of the node `launcher`, in its own superstep.
        launcher: The node that is running.
        setting: The node to start.
        step: Number of the superstep that it will have.
        held: Takes what the run tells the world.
        refuse: Gives the run up and raises.
    """
    namespace = f"{_parent(given)}{setting.name}:{uuid.uuid4()}"
    own = {
        "langgraph_step": step,
        "langgraph_node": setting.name,
        "langgraph_triggers": setting.triggers,
        "langgraph_path": (PULL, setting.name),
        "langgraph_checkpoint_ns": namespace,
        **setting.metadata,
    }
    foreign = {*TASK_METADATA, *launcher.metadata}

    def swap(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
        kept = {k: v for k, v in (metadata or {}).items() if k not in foreign}
        if "checkpoint_ns" in kept:
            kept["checkpoint_ns"] = namespace
        return {**kept, **own}

    def swap_tags(tags: list[str] | None) -> list[str]:
        return [tag for tag in tags or () if tag not in launcher.tags] + list(setting.tags)

    def forbid(what: str) -> Forbidden:
        return Forbidden(refuse, what)

    manager: Any = given.get("callbacks")
    recorder = make_recorder(held, manager.inheritable_handlers)
    made = cast("RunnableConfig", dict(given))
    made["metadata"] = swap(given.get("metadata"))
    made["tags"] = swap_tags(given.get("tags"))
    made["callbacks"] = type(manager)(
        handlers=[recorder],
        inheritable_handlers=[recorder],
        parent_run_id=manager.parent_run_id,
        tags=swap_tags(manager.tags),
        inheritable_tags=swap_tags(manager.inheritable_tags),
        metadata=swap(manager.metadata),
        inheritable_metadata=swap(manager.inheritable_metadata),
    )
    made["configurable"] = early_configurable(
        given["configurable"], forbid, _early_runtime(given, held, forbid), namespace
    )
    return made


def _parent(given: RunnableConfig) -> str:
    """Return the namespace of the graph that a node runs in, as a prefix."""
    namespace = str((given.get("metadata") or {}).get("langgraph_checkpoint_ns", ""))
    head, bar, _ = namespace.rpartition("|")
    return head + bar


class _EarlyRuntime(Runtime[Any]):
    """A `Runtime` that no sub-graph can inherit."""

    __slots__ = ("forbid",)
    forbid: Forbidden

    def merge(self, other: Runtime[Any]) -> Runtime[Any]:  # noqa: ARG002
        self.forbid()


def _early_runtime(
    given: RunnableConfig, held: HeldEvents, forbid: Callable[[str], Forbidden]
) -> Runtime[Any] | None:
    runtime = runtime_of(given)
    if runtime is None:
        return None
    same = {f.name: getattr(runtime, f.name) for f in dataclasses.fields(runtime)}
    for name, what in _REFUSED.items():
        if same.get(name) is not None:
            same[name] = forbid(what)
    held.write_live = runtime.stream_writer if held.live else None
    same["stream_writer"] = held.write
    made = _EarlyRuntime(**same)
    object.__setattr__(made, "forbid", forbid("a sub-graph"))
    return made


_REFUSED: Final = {
    "store": "the store",
    "execution_info": "what identifies the task",
    "previous": "the previous result",
    "control": "the run's control",
}


def stamp(given: RunnableConfig, setting: NodeSetting, *, early: bool) -> RunnableConfig:
    """Return a configuration whose child runs carry what a scheduler wants to know.

    Only the node's children see it: what the node itself is handed, its own run, and the streams of
    tasks stay as they are.
    """
    manager: Any = given.get("callbacks")
    inherited = (manager.inheritable_metadata if manager else {}).get(METADATA_KEY)
    ours = dict(inherited) if isinstance(inherited, Mapping) else {}
    ours |= {"early": early, "remaining_critical_path": setting.remaining, "unit": setting.unit}
    made = cast("RunnableConfig", dict(given))
    if manager is not None:
        made["callbacks"] = manager = manager.copy()
        manager.add_metadata({METADATA_KEY: ours})
    return made
