"""`ScheduledChatModel`: a chat model whose every call waits for a slot of a shared scheduler.

It stands in for the model it wraps. What a call *says* (parameters, tools, tracing, token counts,
whether to stream) is decided by the wrapped model; what the caller's side *does* around it (cache,
rate limiter, callbacks, output version) is done here, with the wrapped model's settings. Runnables
that the wrapped model builds around itself are rebased onto this model, so nothing bypasses the
scheduler. A stream holds its slot until the last chunk, an error, `close`, or its disappearance.

Slots are counted per call. A caller that calls a model while it is reading a stream holds one slot
already, which comes back only when it goes on; so its second call waits for none and starts at
once, beyond the engine's capacity if need be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableSerializable
from langchain_core.runnables.utils import AnyConfigurableField

# At run time, too: `with_fallbacks(...).bind_tools` evaluates the annotations below.
from langchain_core.tools import BaseTool
from pydantic import Field, PrivateAttr, model_validator

from langgraph_rsm.models.configurable import ScheduledFields
from langgraph_rsm.models.rebase import rebase
from langgraph_rsm.runtime.attempt import accepts_run_manager, with_ready_signature
from langgraph_rsm.runtime.bindings import bind_everywhere, speak_alike
from langgraph_rsm.runtime.calls import Route, ScheduledCall
from langgraph_rsm.runtime.clients import without_retries
from langgraph_rsm.runtime.engine import account_of, choose_engines
from langgraph_rsm.runtime.registry import find_scheduler, get_scheduler
from langgraph_rsm.runtime.scheduler import Scheduler

_ADOPTED = (
    "cache",
    "callbacks",
    "custom_get_token_ids",
    "disable_streaming",
    "metadata",
    "output_version",
    "profile",
    "rate_limiter",
    "tags",
    "verbose",
)
"""Fields that LangChain reads on the model it calls, hence taken over from the wrapped one."""
_EVENT_HOOKS = {
    "_stream_chat_model_events": "_stream_from",
    "_astream_chat_model_events": "_astream_from",
}
"""Optional methods of a model that produce LangChain's stream events natively, and what runs them
here. LangChain asks the instance for them, so they exist exactly when the wrapped model's do."""


class ScheduledChatModel(BaseChatModel):
    """A chat model that asks a scheduler for a slot before each call.

    Args:
        inner: The model to schedule; for one engine.
        engines: Instead of `inner`: several models, or `Engine` objects with a capacity. Each call
            goes to the engine that the scheduler chooses, with the bound tools in the words of that
            engine's provider, and moves on to another one when it fails before the first token.
        scheduler: Shared with all models whose calls compete, or its name (see `get_scheduler`);
            None takes the process-global one.

    Raises:
        ConfigError: Not exactly one of `inner` and `engines` is given, or one is not a chat model.
        EngineError: An engine is registered with another capacity already.

    Example:
        `ScheduledChatModel(inner=ChatOpenAI(model="llama", base_url="http://gpu-1:8000/v1"))`
    """

    # The validator fills both in, so neither is required of the caller, nor ever None or empty.
    inner: BaseChatModel = Field(default=cast("BaseChatModel", None), exclude=True)
    """The wrapped model; with several engines the first one, which speaks for all."""
    engines: Sequence[Any] = Field(default=(), exclude=True)
    """All engines as `Engine` objects, that of `inner` included."""
    scheduler: Scheduler = Field(default_factory=get_scheduler, exclude=True, repr=False)
    """Where the calls queue."""

    is_scheduled: ClassVar[bool] = True
    """Marks models that must not be scheduled once more."""

    _route: Route = PrivateAttr()

    @model_validator(mode="before")
    @classmethod
    def _accept_inner_or_engines(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        values = dict(values)
        inner, engines = values.pop("inner", None), values.pop("engines", None)
        if "scheduler" in values:
            values["scheduler"] = find_scheduler(values["scheduler"])
        chosen = choose_engines(inner, engines)
        first = chosen[0].model
        adopted = {name: getattr(first, name) for name in _ADOPTED}
        return {**adopted, **values, "inner": first, "engines": chosen}

    @model_validator(mode="after")
    def _register_engines(self) -> ScheduledChatModel:
        for engine in self.engines:
            self.scheduler.register(engine)
        models = {engine.engine_id: engine.model for engine in self.engines}
        accounts = {engine.engine_id: account_of(engine.model) for engine in self.engines}
        self._route = Route(scheduler=self.scheduler, models=models, accounts=accounts)
        return self

    # Variants

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> ScheduledChatModel:
        """Return a copy; settings of the wrapped model are changed on copies of all engines."""
        own = {name: value for name, value in (update or {}).items() if name in _OWN}
        inner = {name: value for name, value in (update or {}).items() if name not in _OWN}
        if not inner:
            return super().model_copy(update=own, deep=deep)
        return self.exchange_models(lambda model: model.model_copy(update=inner), **own)

    def configurable_fields(
        self, **kwargs: AnyConfigurableField
    ) -> RunnableSerializable[LanguageModelInput, AIMessage]:
        """Make settings configurable at run time, those of the wrapped model included."""
        if kwargs.keys() <= _OWN:
            return super().configurable_fields(**kwargs)
        self.inner.configurable_fields(**kwargs)  # raises for a name that it does not know
        return ScheduledFields(default=self, fields=kwargs)

    def exchange_models(
        self, variant: Callable[[BaseChatModel], BaseChatModel], **update: Any
    ) -> ScheduledChatModel:
        """Return a copy with a variant of each engine's model, and with fields of its own changed.

        Args:
            variant: Returns the model to use in place of an engine's model.
            **update: Fields of this class and their values.
        """
        engines = [engine.with_model(variant(engine.model)) for engine in self.engines]
        kept = {name: getattr(self, name) for name in _ADOPTED}
        fields = {"engines": engines, "scheduler": self.scheduler, **kept, **update}
        copy = type(self)(**fields)
        if copy._route.models.keys() == self._route.models.keys():
            copy._route = replace(copy._route, bindings=self._route.bindings)
        return copy

    # What the wrapped model decides

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Public settings such as `temperature`; private hooks would bypass the scheduler.
            if name in _EVENT_HOOKS and self._all_have(name):
                return partial(self._run_hook, name)
            if name.startswith("_") or "inner" not in self.__dict__:
                return super().__getattr__(name)
            return getattr(self.inner, name)

    @property
    def model_name(self) -> str:
        """Name of the wrapped model at its provider; empty if it has none."""
        for name in ("model_name", "model"):
            value = getattr(self.inner, name, None)
            if isinstance(value, str):
                return value
        return ""

    @property
    def _llm_type(self) -> str:
        return self.inner._llm_type

    @property
    def _identifying_params(self) -> Any:
        return self.inner._identifying_params

    @property
    def _serialized(self) -> Any:
        return self.inner._serialized

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return self.inner._get_invocation_params(stop=stop, **kwargs)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return self.inner._get_ls_params(stop=stop, **kwargs)

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        return self.inner._get_llm_string(stop=stop, **kwargs)

    def _combine_llm_outputs(self, llm_outputs: list[Any], /) -> dict[str, Any]:
        return self.inner._combine_llm_outputs(llm_outputs)

    def _should_stream(self, *, async_api: bool, run_manager: Any = None, **kwargs: Any) -> bool:
        for engine in self.engines:
            model = engine.model
            if not model._should_stream(async_api=async_api, run_manager=run_manager, **kwargs):
                return False
        return not self._streaming_disabled(**kwargs)

    def _should_use_protocol_streaming(
        self, *, async_api: bool, run_manager: Any = None, **kwargs: Any
    ) -> bool:
        for engine in self.engines:
            if not engine.model._should_use_protocol_streaming(
                async_api=async_api, run_manager=run_manager, **kwargs
            ):
                return False
        return not self._streaming_disabled(**kwargs)

    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of a text, as the wrapped model counts."""
        return self.inner.get_token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """Return the number of tokens of a text, as the wrapped model counts."""
        return self.inner.get_num_tokens(text)

    def get_num_tokens_from_messages(
        self, messages: list[BaseMessage], tools: Sequence[Any] | None = None, **kwargs: Any
    ) -> int:
        """Return the number of tokens of messages, as the wrapped model counts."""
        return self.inner.get_num_tokens_from_messages(messages, tools=tools, **kwargs)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools as the wrapped model does; calls of the result are scheduled."""
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        models = {engine.engine_id: engine.model for engine in self.engines}
        if speak_alike(list(models.values()), "bind_tools"):
            return rebase(self.inner.bind_tools(tools, **kwargs), self.inner, self)
        binding = bind_everywhere(models, tools, kwargs)
        bound = super().model_copy()
        bound._route = replace(self._route, bindings=(*self._route.bindings, binding))
        return bound.bind(**binding.spoken)

    def with_structured_output(
        self, schema: Any = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Ask for structured output as the wrapped model does; calls are scheduled.

        Engines of different providers are asked in the one way that all of them answer alike, a
        call of a tool.
        """
        if not speak_alike([engine.model for engine in self.engines], "with_structured_output"):
            return super().with_structured_output(schema, **kwargs)
        return rebase(self.inner.with_structured_output(schema, **kwargs), self.inner, self)

    # Calls

    @with_ready_signature
    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        def ask(model: BaseChatModel, options: dict[str, Any]) -> ChatResult:
            if accepts_run_manager(type(model)._generate):
                options = {**options, "run_manager": run_manager}
            return without_retries(model)._generate(messages, stop=stop, **options)

        return ScheduledCall(_route_of(self), messages, run_manager, kwargs).generate(ask)

    @with_ready_signature
    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        def ask(model: BaseChatModel, options: dict[str, Any]) -> Awaitable[ChatResult]:
            if accepts_run_manager(type(model)._agenerate):
                options = {**options, "run_manager": run_manager}
            return without_retries(model)._agenerate(messages, stop=stop, **options)

        return await ScheduledCall(_route_of(self), messages, run_manager, kwargs).agenerate(ask)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        return self._stream_from("_stream", messages, stop, run_manager, kwargs)

    def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        return self._astream_from("_astream", messages, stop, run_manager, kwargs)

    def _all_have(self, hook: str) -> bool:
        return all(hasattr(type(one.model), hook) for one in self.__dict__.get("engines", [None]))

    def _run_hook(
        self, hook: str, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        return getattr(self, _EVENT_HOOKS[hook])(hook, messages, stop, run_manager, kwargs)

    def _stream_from(
        self, method: str, messages: Any, stop: Any, run_manager: Any, options: dict[str, Any]
    ) -> Iterator[Any]:
        if run_manager is not None:
            options["run_manager"] = run_manager
        return ScheduledCall(_route_of(self), messages, run_manager, options).stream(
            lambda model, adapted: getattr(without_retries(model), method)(
                messages, stop=stop, **adapted
            )
        )

    def _astream_from(
        self, method: str, messages: Any, stop: Any, run_manager: Any, options: dict[str, Any]
    ) -> AsyncIterator[Any]:
        if run_manager is not None:
            options["run_manager"] = run_manager
        return ScheduledCall(_route_of(self), messages, run_manager, options).astream(
            lambda model, adapted: getattr(without_retries(model), method)(
                messages, stop=stop, **adapted
            )
        )


def _route_of(model: ScheduledChatModel) -> Route:
    """Return `model._route`: this is read at each call, and pydantic takes ten times as long."""
    private: Any = model.__pydantic_private__
    return cast("Route", private["_route"])


_OWN = frozenset(ScheduledChatModel.model_fields)
