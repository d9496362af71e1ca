"""Configurable settings of scheduled models: variants made at run time are scheduled, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.configurable import RunnableConfigurableFields
from langchain_core.runnables.utils import ConfigurableFieldSpec

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


class ExchangesModels(Protocol):
    """A `ScheduledChatModel`, as far as its settings are concerned."""

    @property
    def inner(self) -> BaseChatModel:
        """The wrapped model that speaks for all."""

    def exchange_models(
        self, variant: Callable[[BaseChatModel], BaseChatModel], **update: Any
    ) -> Runnable[Any, Any]:
        """Return a copy with a variant of each wrapped model."""


class ScheduledFields(RunnableConfigurableFields):  # type: ignore[type-arg]
    """A `ScheduledChatModel` with settings of its wrapped models to be chosen per run.

    Its base class bears no type arguments: with any, pydantic would not take a model for `default`.
    """

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """What can be configured."""
        return self._fields_of(self._scheduled.inner).config_specs

    def _prepare(
        self, config: RunnableConfig | None = None
    ) -> tuple[Runnable[Any, Any], RunnableConfig]:
        variant, config = self._fields_of(self._scheduled.inner)._prepare(config)
        if variant is self._scheduled.inner:
            return self.default, config
        chosen = config

        def configure(model: BaseChatModel) -> BaseChatModel:
            return cast("BaseChatModel", self._fields_of(model)._prepare(chosen)[0])

        return self._scheduled.exchange_models(configure), config

    @property
    def _scheduled(self) -> ExchangesModels:
        return cast("ExchangesModels", self.default)

    def _fields_of(self, model: BaseChatModel) -> RunnableConfigurableFields[Any, Any]:
        return RunnableConfigurableFields(default=model, fields=self.fields)
