"""One attempt of a call: waits for a slot, holds it while the model answers, meters the answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self, TypeVar

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import add_usage
from langchain_core.outputs import ChatGenerationChunk

from langgraph_rsm.core.call import TokenUsage
from langgraph_rsm.runtime.engine import note_unreachable

if TYPE_CHECKING:
    from types import TracebackType

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.outputs import ChatResult

    from langgraph_rsm.runtime.lease import Lease, Slot

F = TypeVar("F", bound=Callable[..., Any])

_MAX_HELD_BACK = 16
"""Empty chunks kept while nothing was said; real servers send one. More than that is an answer."""


class Attempt:
    """Context manager, sync and async; inside it the attempt has a slot.

    Args:
        call_id: The scheduler's name for it.
        slot: The slot to wait for.
        models: The caller's own model for each engine, by engine id.
    """

    __slots__ = (
        "_held_back",
        "_lease",
        "_models",
        "_slot",
        "_usage",
        "call_id",
        "engine_id",
        "priority",
        "spoke",
    )

    def __init__(self, call_id: str, slot: Slot, models: Mapping[str, BaseChatModel]) -> None:
        self.call_id = call_id
        self._slot = slot
        self._models = models
        self._lease: Lease | None = None
        self._usage: UsageMetadata | None = None
        self._held_back: list[Any] = []
        self.engine_id = ""
        """The engine that was chosen; empty before."""
        self.priority = 0
        """What the engine's own queue was told; 0 for nothing."""
        self.spoke = False
        """Whether the caller has seen anything of the answer, which then cannot be begun anew."""

    @property
    def began(self) -> bool:
        """Whether the attempt ever had a slot."""
        return self._lease is not None

    @property
    def place(self) -> int | None:
        """Its position in the order of submissions, for the attempt after it; None before."""
        return None if self._lease is None else self._lease.place

    @property
    def level(self) -> int:
        """Queue that its call came from, 0 first."""
        return 0 if self._lease is None else self._lease.level

    @property
    def model(self) -> BaseChatModel:
        """The caller's model for the engine that was chosen."""
        return self._models[self.engine_id]

    def result(self, result: ChatResult) -> ChatResult:
        """Read the token counts of a complete answer; several generations report them once."""
        if result.generations:
            self._usage = _usage_of(result.generations[0].message)
        return result

    def chunk(self, chunk: Any) -> Iterable[Any]:
        """Take note of a chunk, and return the chunks that the caller may see now.

        The chunks before the first token say nothing; they wait for it, so that a connection that
        breaks in between can still be replaced by another engine. The event that finishes a native
        stream waits, too: who has seen it reads no further, and the slot would not come back.
        """
        usage = _usage_of(getattr(chunk, "message", None))
        if usage is not None:
            self._usage = add_usage(self._usage, usage)
        if self._may_wait(chunk):
            self._held_back.append(chunk)
            return ()
        if self._lease is not None:
            self._lease.chunk()
        self.spoke = True
        if not self._held_back:
            return (chunk,)
        return (*self.held_back(), chunk)

    def _may_wait(self, chunk: Any) -> bool:
        if not isinstance(chunk, ChatGenerationChunk):
            return isinstance(chunk, Mapping) and chunk.get("event") == "message-finish"
        return not self.spoke and len(self._held_back) < _MAX_HELD_BACK and _says_nothing(chunk)

    def held_back(self) -> Iterable[Any]:
        """Return the chunks that still wait; to be called when there are no others."""
        chunks, self._held_back = self._held_back, []
        self.spoke = True
        return chunks

    def __enter__(self) -> Self:
        self._begin(self._slot.__enter__())
        return self

    async def __aenter__(self) -> Self:
        self._begin(await self._slot.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lease = self._lease
        assert lease is not None, "left only if entered"
        lease.tokens = _token_usage(self._usage)
        lease.end(error)
        if error is not None:
            note_unreachable(error, lease.engine)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _begin(self, lease: Lease) -> None:
        self._lease = lease
        self.engine_id = lease.engine_id


class Closing:
    """Context manager that closes a stream of chunks, as far as it can be closed.

    A class, unlike `contextlib.asynccontextmanager`: an event loop that shuts down closes all
    asynchronous generators at once, a context manager made of one included.
    """

    __slots__ = ("_chunks",)

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks

    def __enter__(self) -> Any:
        return self._chunks

    def __exit__(self, *_: object) -> None:
        if hasattr(self._chunks, "close"):
            self._chunks.close()

    async def __aenter__(self) -> Any:
        return self._chunks

    async def __aexit__(self, *_: object) -> None:
        if hasattr(self._chunks, "aclose"):
            await self._chunks.aclose()


def with_ready_signature(method: F) -> F:
    """Return the method with its signature worked out, for which LangChain asks at each call."""
    method.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
    return method


@lru_cache(maxsize=256)
def accepts_run_manager(method: Callable[..., Any]) -> bool:
    """Tell whether a model's `_generate` or `_agenerate` names a `run_manager` parameter."""
    return "run_manager" in inspect.signature(method).parameters


def _says_nothing(chunk: ChatGenerationChunk) -> bool:
    message = chunk.message
    if message.content or message.additional_kwargs or message.response_metadata:
        return False
    if not isinstance(message, AIMessageChunk):
        return False
    ends = message.chunk_position or message.usage_metadata or chunk.generation_info
    return not (ends or message.tool_call_chunks)


def _usage_of(message: Any) -> UsageMetadata | None:
    return message.usage_metadata if isinstance(message, AIMessage) else None


def _token_usage(usage: UsageMetadata | None) -> TokenUsage | None:
    if usage is None:
        return None
    return TokenUsage(
        input_tokens=usage["input_tokens"],
        output_tokens=usage["output_tokens"],
        cached_tokens=usage.get("input_token_details", {}).get("cache_read", 0),
    )
