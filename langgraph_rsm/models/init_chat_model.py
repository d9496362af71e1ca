"""Models by name: what LangChain's `init_chat_model` builds, scheduled.

A configurable model builds a real one at every call, so the scheduling happens there. And where a
framework turns a string into a model by itself, `schedule_named_models` is inside LangChain's one
function for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langchain.chat_models import base, init_chat_model

from langgraph_rsm.models.model_class import exchange_for_scheduled
from langgraph_rsm.runtime.registry import find_scheduler

if TYPE_CHECKING:
    from langgraph_rsm.runtime.scheduler import Scheduler

_OPERATIONS = ("bind_tools", "with_structured_output", "with_config")
"""Methods of a configurable model that return another one."""


def schedule_by_name(model: Any, *, scheduler: Scheduler, capacity: int | None) -> Any:
    """Return the scheduled model of a name, or the scheduled form of a configurable model."""
    if isinstance(model, str):
        return _schedule_once(init_chat_model(model), scheduler, capacity)
    return ScheduledConfigurableModel.adopt(model, scheduler=scheduler, capacity=capacity)


def _schedule_once(model: Any, scheduler: Scheduler, capacity: int | None) -> Any:
    if getattr(type(model), "is_scheduled", False):  # inside `schedule_named_models`
        return model
    return exchange_for_scheduled(model, scheduler, capacity)


class ScheduledConfigurableModel(base._ConfigurableModel):  # type: ignore[misc]
    """A configurable model whose every model is scheduled."""

    _scheduler: Scheduler
    _capacity: int | None

    @classmethod
    def adopt(cls, plain: Any, *, scheduler: Scheduler, capacity: int | None) -> Any:
        """Return the scheduled form of a configurable model."""
        adopted = cls.__new__(cls)
        adopted.__dict__.update(plain.__dict__, _scheduler=scheduler, _capacity=capacity)
        return adopted

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return self._adopting(found) if name in _OPERATIONS else found

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        return self._adopting(found) if name in _OPERATIONS else found

    def _adopting(self, operation: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            after = operation(*args, **kwargs)
            if type(after) is not base._ConfigurableModel:
                return after
            return self.adopt(after, scheduler=self._scheduler, capacity=self._capacity)

        return run

    def _model(self, config: Any = None) -> Any:
        params = {**self._default_config, **self._model_params(config)}
        plain = base._init_chat_model_helper(**params)
        model = _schedule_once(plain, self._scheduler, self._capacity)
        for name, args, kwargs in self._queued_declarative_operations:
            model = getattr(model, name)(*args, **kwargs)
        return model


@contextmanager
def schedule_named_models(
    scheduler: Scheduler | str | None = None, *, capacity: int | None = None
) -> Iterator[None]:
    """Schedule every model that LangChain makes of a name while the block is open.

    For strings that someone else's code hands to `create_agent` or `init_chat_model`. It holds for
    the whole process; models made inside the block stay scheduled after it.

    Args:
        scheduler: As for `schedule`.
        capacity: As for `schedule`.
    """
    shared = find_scheduler(scheduler)
    plain = base._init_chat_model_helper

    def build(*args: Any, **kwargs: Any) -> Any:
        return _schedule_once(plain(*args, **kwargs), shared, capacity)

    base._init_chat_model_helper = build
    try:
        yield
    finally:
        base._init_chat_model_helper = plain
