"""`ScheduledChatModel`: a chat model whose every call waits for a slot of a shared scheduler.

It stands in for the model it wraps. What a call *says* (parameters, tools, tracing, token counts,
whether to stream) is decided by the wrapped model; what the caller's side *does* around it (cache,
rate limiter, callbacks, output version) is done here, with the wrapped model's settings. Runnables
that the wrapped model builds around itself are rebased onto this model, so nothing bypasses the
scheduler. A stream holds its slot until the last chunk, an error, `close`, or its disappearance.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field, PrivateAttr, model_validator

from langgraph_rsm.calls import Closing, ScheduledCall, accepts_run_manager
from langgraph_rsm.engine import Engine, require_chat_model
from langgraph_rsm.errors import ConfigError
from langgraph_rsm.rebase import rebase
from langgraph_rsm.registry import get_scheduler
from langgraph_rsm.scheduler import Scheduler

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

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


class ScheduledChatModel(BaseChatModel):
    """A chat model that asks a scheduler for a slot before each call.

    Args:
        inner: The model to schedule; for one engine.
        engines: Instead of `inner`: several models of one provider class, or `Engine` objects with
            a capacity. Each call goes to the engine that the scheduler chooses.
        scheduler: Shared with all models whose calls compete; None takes the process-global one.

    Raises:
        ConfigError: Not exactly one of `inner` and `engines` is given, one is not a chat model, or
            the engines are of different kinds.
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

    _models: dict[str, BaseChatModel] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _accept_inner_or_engines(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        values = dict(values)
        inner, engines = values.pop("inner", None), values.pop("engines", None)
        if values.get("scheduler", ...) is None:
            del values["scheduler"]
        chosen = _choose_engines(inner, engines)
        first = chosen[0].model
        adopted = {name: getattr(first, name) for name in _ADOPTED}
        return {**adopted, **values, "inner": first, "engines": chosen}

    @model_validator(mode="after")
    def _register_engines(self) -> ScheduledChatModel:
        for engine in self.engines:
            self.scheduler.register(engine)
            self._models[engine.engine_id] = engine.model
        return self

    # What the wrapped model decides

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Public settings such as `temperature`; private hooks would bypass the scheduler.
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
        return not self._streaming_disabled(**kwargs) and self.inner._should_stream(
            async_api=async_api, run_manager=run_manager, **kwargs
        )

    def _should_use_protocol_streaming(
        self, *, async_api: bool, run_manager: Any = None, **kwargs: Any
    ) -> bool:
        # The wrapped model's native event hook is not used, so it must have `_stream` as well.
        return self._should_stream(
            async_api=async_api, run_manager=run_manager, **{**kwargs, "stream": True}
        ) and self.inner._should_use_protocol_streaming(
            async_api=async_api, run_manager=run_manager, **kwargs
        )

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
        return rebase(self.inner.bind_tools(tools, **kwargs), self.inner, self)

    def with_structured_output(
        self, schema: Any = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Ask for structured output as the wrapped model does; calls are scheduled."""
        return rebase(self.inner.with_structured_output(schema, **kwargs), self.inner, self)

    # Calls

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with ScheduledCall(self.scheduler, self._models, run_manager) as call:
            if accepts_run_manager(type(call.model)._generate):
                kwargs["run_manager"] = run_manager
            result = call.model._generate(messages, stop=stop, **kwargs)
            call.result(result)
            return result

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        async with ScheduledCall(self.scheduler, self._models, run_manager) as call:
            if accepts_run_manager(type(call.model)._agenerate):
                kwargs["run_manager"] = run_manager
            result = await call.model._agenerate(messages, stop=stop, **kwargs)
            call.result(result)
            return result

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if run_manager is not None:
            kwargs["run_manager"] = run_manager
        with (
            ScheduledCall(self.scheduler, self._models, run_manager) as call,
            # Closed before the slot goes back, so that the engine is really free by then.
            Closing(call.model._stream(messages, stop=stop, **kwargs)) as chunks,
        ):
            for chunk in chunks:
                call.chunk(chunk)
                yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if run_manager is not None:
            kwargs["run_manager"] = run_manager
        async with (
            ScheduledCall(self.scheduler, self._models, run_manager) as call,
            Closing(call.model._astream(messages, stop=stop, **kwargs)) as chunks,
        ):
            async for chunk in chunks:
                call.chunk(chunk)
                yield chunk


def _choose_engines(inner: Any, engines: Any) -> tuple[Engine, ...]:
    """Return the engines that the constructor's arguments mean, checked."""
    if (inner is None) == (engines is None):
        given = "neither" if inner is None else "both"
        msg = (
            f"ScheduledChatModel got {given} of `inner` and `engines`; write "
            "ScheduledChatModel(inner=model) or ScheduledChatModel(engines=[model, ...])"
        )
        raise ConfigError(msg)
    if inner is not None:
        require_chat_model(inner, "ScheduledChatModel(inner=...)")
        return (Engine(inner),)
    if not isinstance(engines, list | tuple) or not engines:
        msg = "ScheduledChatModel(engines=...) must be a non-empty list of models or engines"
        raise ConfigError(msg)
    chosen = tuple(_as_engine(item, index) for index, item in enumerate(engines))
    _require_alike(chosen)
    return chosen


def _as_engine(item: Any, index: int) -> Engine:
    if isinstance(item, Engine):
        return item
    require_chat_model(item, f"ScheduledChatModel(engines=...)[{index}]")
    return Engine(item)


def _require_alike(engines: Sequence[Engine]) -> None:
    first = engines[0]
    if len({engine.engine_id for engine in engines}) < len(engines):
        msg = (
            f"two engines have the identity {first.engine_id!r}; one server is one engine: list it "
            "once with a larger capacity, or tell them apart with Engine(model, name=...)"
        )
        raise ConfigError(msg)
    for engine in engines[1:]:
        # Tools and formats are bound once, by the first model, and sent to whichever is chosen.
        if type(engine.model).bind_tools is not type(first.model).bind_tools:
            msg = (
                f"engines of different kinds ({type(first.model).__name__}, "
                f"{type(engine.model).__name__}) cannot share bound tools; schedule each in a "
                "model of its own and join them with .with_fallbacks([...])"
            )
            raise ConfigError(msg)
