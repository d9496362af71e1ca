"""One call that is made ahead: in a configuration of its own, which holds back what it tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, cast

from langchain_core.callbacks.base import BaseCallbackManager
from langchain_core.runnables.config import RunnableConfig, var_child_runnable_config

from langgraph_parallel._compat.tasks import detached_configurable
from langgraph_parallel._compat.tracing import streaming_marks
from langgraph_parallel.lowering.exact.events import HeldEvents, OwnRun, make_recorder
from langgraph_parallel.lowering.exact.sandbox import Forbidden


class EarlyCall:
    """What a call that is made ahead shows of itself, told when the body arrives at it.

    Args:
        given: The configuration that the body runs in; None outside of any run.
        check: Raises where nobody wants the call any more.
        refuse: Gives the call up from inside, and raises.
        live: Let streams see its events at once.
    """

    __slots__ = ("_given", "_held", "_token", "config", "is_detached")

    def __init__(
        self,
        given: RunnableConfig | None,
        check: Callable[[], None],
        refuse: Callable[[str], NoReturn],
        *,
        live: bool,
    ) -> None:
        self._given = given
        self._held: HeldEvents | None = None
        self.config = given
        self.is_detached = False
        """Whether a graph that is called runs by itself, and not as a part of the graph around."""
        if given is not None:
            self.config = self._own_config(given, check, refuse, live=live)

    def _own_config(
        self,
        given: RunnableConfig,
        check: Callable[[], None],
        refuse: Callable[[str], NoReturn],
        *,
        live: bool,
    ) -> RunnableConfig:
        made = cast("RunnableConfig", dict(given))
        manager: Any = given.get("callbacks")
        handlers: list[Any] = []
        if isinstance(manager, BaseCallbackManager):
            handlers = manager.inheritable_handlers
            self._held = HeldEvents(manager.parent_run_id, check, refuse, live=live)
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
        settings = given.get("configurable") or {}
        made["configurable"], self.is_detached = detached_configurable(
            settings,
            lambda what: Forbidden(refuse, what),
            may_detach=not streaming_marks(handlers),
        )
        return made

    def own(self, value: Any) -> Any:
        """Return an argument, or this call's configuration where it is the body's."""
        if type(value) is dict and isinstance(value.get("callbacks"), BaseCallbackManager):
            return self.config
        return value

    def __enter__(self) -> EarlyCall:
        self._token = var_child_runnable_config.set(self.config)
        return self

    def __exit__(self, *_: object) -> None:
        var_child_runnable_config.reset(self._token)

    def tell(self) -> None:
        """Tell what the call did to those who follow the run of the body."""
        if self._held is not None and self._given is not None:
            self._held.tell(self._given, self._own_run())

    async def atell(self) -> None:
        """Tell what the call did to those who follow the run of the body."""
        if self._held is not None and self._given is not None:
            await self._held.atell(self._given, self._own_run())

    def _own_run(self) -> OwnRun:
        assert self._given is not None
        return OwnRun(self._given, dict(self._given.get("metadata") or {}))
