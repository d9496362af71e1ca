"""One call that is made ahead: in a configuration of its own, which holds back what it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn, cast

from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.runnables.config import RunnableConfig, var_child_runnable_config

from langgraph_parallel._compat.tasks import detached_configurable
from langgraph_parallel._compat.tracing import streaming_marks
from langgraph_parallel.lowering.bodies.private import is_config
from langgraph_parallel.lowering.exact.events import HeldEvents, OwnRun, make_recorder
from langgraph_parallel.lowering.exact.sandbox import Forbidden


class EarlyCall:
    """What a call that is made ahead shows of itself, told when the body arrives at it.

    Args:
        around: The configuration that the body runs in; None outside of any run.
        values: The arguments, of which one may be a configuration of its own.
        check: Raises where nobody wants the call any more.
        refuse: Gives the call up from inside, and raises.
        live: Let streams see its events at once.
    """

    __slots__ = ("_around", "_held", "_own", "_token", "_told", "is_detached")

    def __init__(
        self,
        around: RunnableConfig | None,
        values: Iterable[Any],
        check: Callable[[], None],
        refuse: Callable[[str], NoReturn],
        *,
        live: bool,
    ) -> None:
        handed = [value for value in values if is_config(value)]
        given = [*([] if around is None else [around]), *handed]
        parents = {_parent(config) for config in given}
        if len(parents) > 1:
            refuse("configurations of several runs")
        self.is_detached = False
        """Whether a graph that is called runs by itself, and not as a part of the graph around."""
        self._told = given[-1] if given else None
        """Whose handlers are told: what a call is handed goes before what is around it."""
        self._held: HeldEvents | None = None
        if parents:
            self._held = HeldEvents(parents.pop(), check, refuse, live=live)
        self._own = {id(config): self._held_back(config, refuse) for config in given}
        self._around = None if around is None else self._own[id(around)]

    def _held_back(
        self, given: RunnableConfig, refuse: Callable[[str], NoReturn]
    ) -> RunnableConfig:
        """Return a configuration that tells nobody yet."""
        made = cast("RunnableConfig", dict(given))
        manager: Any = given.get("callbacks")
        handlers: list[Any] = []
        if isinstance(manager, BaseCallbackManager):
            assert self._held is not None
            handlers = manager.inheritable_handlers
            recorder = make_recorder(self._held, handlers)
            made["callbacks"] = type(manager)(
                handlers=[recorder],
                inheritable_handlers=[recorder],
                parent_run_id=manager.parent_run_id,
                tags=manager.tags,
                inheritable_tags=manager.inheritable_tags,
                metadata=manager.metadata,
                inheritable_metadata=manager.inheritable_metadata,
            )
        elif manager:
            refuse("callbacks that are no manager")
        made["configurable"], detached = detached_configurable(
            given.get("configurable") or {},
            lambda what: Forbidden(refuse, what),
            may_detach=not streaming_marks(handlers),
        )
        self.is_detached = self.is_detached or detached
        return made

    def own(self, value: Any) -> Any:
        """Return an argument, or the form of a configuration that tells nobody yet."""
        return self._own[id(value)] if is_config(value) else value

    def __enter__(self) -> EarlyCall:
        self._token = var_child_runnable_config.set(self._around)
        return self

    def __exit__(self, *_: object) -> None:
        var_child_runnable_config.reset(self._token)

    def tell(self) -> None:
        """Tell what the call did to those who follow the run of the body."""
        if self._held is not None and self._told is not None:
            self._held.tell(self._told, _own_run(self._told))

    async def atell(self) -> None:
        """Tell what the call did to those who follow the run of the body."""
        if self._held is not None and self._told is not None:
            await self._held.atell(self._told, _own_run(self._told))


def _parent(config: RunnableConfig) -> Any:
    """Return the run whose children a configuration makes."""
    return getattr(config.get("callbacks"), "parent_run_id", None)


def _own_run(config: RunnableConfig) -> OwnRun:
    return OwnRun(config, dict(config.get("metadata") or {}))
