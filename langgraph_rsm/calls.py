"""One scheduled model call: finds out who calls, waits for a slot, meters the answer, lets go."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import add_usage

from langgraph_rsm.engine import note_unreachable
from langgraph_rsm.events import Call
from langgraph_rsm.identity import identify
from langgraph_rsm.run_tree import run_tree
from langgraph_rsm.telemetry.records import TokenUsage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    from langgraph_rsm.lease import Lease, Slot
    from langgraph_rsm.scheduler import Scheduler


class ScheduledCall:
    """Context manager, sync and async, around one call; inside it the call has a slot.

    Args:
        scheduler: Where the call queues.
        models: The caller's own model for each engine, by engine id.
        run_manager: LangChain's manager of the run; None for streams, where the context tells.
    """

    __slots__ = ("_call", "_lease", "_models", "_scheduler", "_slot", "_usage", "_who")

    def __init__(
        self, scheduler: Scheduler, models: Mapping[str, BaseChatModel], run_manager: Any
    ) -> None:
        self._who = who = identify(getattr(run_manager, "run_id", None))
        self._scheduler = scheduler
        self._models = models
        self._call = Call(
            program_id=who.program_id,
            engines=tuple(models),
            thread_id=who.thread_id,
            call_site=who.call_site,
            graph=who.graph,
            tenant=who.tenant,
            weight=who.weight,
        )
        self._slot: Slot = scheduler.slot(self._call)
        self._lease: Lease | None = None
        self._usage: UsageMetadata | None = None

    @property
    def model(self) -> BaseChatModel:
        """The caller's model for the engine that was chosen."""
        return self._models[self._held.engine_id]

    def result(self, result: ChatResult) -> None:
        """Read the token counts of a complete answer; several generations report them once."""
        if result.generations:
            self._usage = _usage_of(result.generations[0].message)

    def chunk(self, chunk: ChatGenerationChunk) -> None:
        """Take note of a chunk: the first one is timed, token counts add up."""
        self._held.first_token()
        usage = _usage_of(chunk.message)
        if usage is not None:
            self._usage = add_usage(self._usage, usage)

    def __enter__(self) -> ScheduledCall:
        try:
            self._lease = self._slot.__enter__()
        except BaseException as error:
            self._leave(error)
            raise
        return self

    async def __aenter__(self) -> ScheduledCall:
        try:
            self._lease = await self._slot.__aenter__()
        except BaseException as error:
            self._leave(error)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lease = self._held
        lease.tokens = _token_usage(self._usage)
        lease.end(error)
        if error is not None:
            note_unreachable(error, lease.engine)
        self._leave(error)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    @property
    def _held(self) -> Lease:
        assert self._lease is not None, "used inside the block only"
        return self._lease

    def _leave(self, error: BaseException | None) -> None:
        if self._who.run_id is not None and error is not None and not isinstance(error, Exception):
            # LangChain does not tell handlers of a cancelled `ainvoke` that its run is over.
            run_tree.forget_chat(self._who.run_id)
        if self._who.transient:
            self._scheduler.end_program(self._call.program_id)


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


@lru_cache(maxsize=256)
def accepts_run_manager(method: Callable[..., Any]) -> bool:
    """Tell whether a model's `_generate` or `_agenerate` names a `run_manager` parameter."""
    return "run_manager" in inspect.signature(method).parameters


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
