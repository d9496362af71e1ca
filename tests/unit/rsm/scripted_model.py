"""The one fake chat model of these tests: behaves like a provider's class, without a network.

It binds tools as providers do (`self.bind(tools=...)`), reports usage, streams word by word, takes
virtual time per answer and per chunk, fails on demand, and remembers what it was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, PrivateAttr


class ScriptedModel(BaseChatModel):
    model_name: str = "scripted"
    base_url: str | None = None
    temperature: float | None = None
    delay_s: float = 0.0
    """Time per answer in async calls, and per chunk of async streams."""
    answer: str | Callable[[list[BaseMessage], dict[str, Any]], AIMessage | str] = "one two three"
    error: Exception | None = None
    error_after_chunks: int = 0
    on_call: Callable[[], None] | None = None
    """Runs inside each sync call, e.g. to block on an event."""
    seen: list[dict[str, Any]] = Field(default_factory=list)
    """Keyword arguments of every call that reached the model."""
    _open_streams: int = PrivateAttr(default=0)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, "temperature": self.temperature}

    @property
    def open_streams(self) -> int:
        return self._open_streams

    def get_token_ids(self, text: str) -> list[int]:
        return list(range(len(text.split())))

    def bind_tools(self, tools, *, tool_choice=None, **kwargs):
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _message(self, messages, kwargs) -> AIMessage:
        said = self.answer(messages, kwargs) if callable(self.answer) else self.answer
        message = said if isinstance(said, AIMessage) else AIMessage(said)
        words = len(str(message.content).split())
        usage = UsageMetadata(input_tokens=7, output_tokens=words, total_tokens=7 + words)
        return message.model_copy(update={"usage_metadata": usage})

    def _generate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        self.seen.append(kwargs)
        if self.on_call is not None:
            self.on_call()
        if self.error is not None:
            raise self.error
        message = self._message(messages, kwargs)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        self.seen.append(kwargs)
        await asyncio.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        message = self._message(messages, kwargs)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _chunks(self, messages, kwargs) -> Iterator[ChatGenerationChunk]:
        message = self._message(messages, kwargs)
        words = str(message.content).split() or [""]
        for index, word in enumerate(words):
            if self.error is not None and index == self.error_after_chunks:
                raise self.error
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        calls = [
            {"name": c["name"], "args": str(c["args"]).replace("'", '"'), "id": c["id"], "index": i}
            for i, c in enumerate(message.tool_calls)
        ]
        last = AIMessageChunk(
            content="", usage_metadata=message.usage_metadata, tool_call_chunks=calls
        )
        yield ChatGenerationChunk(message=last)

    def _stream(
        self, messages, stop=None, run_manager=None, **kwargs
    ) -> Iterator[ChatGenerationChunk]:
        self.seen.append(kwargs)
        self._open_streams += 1
        try:
            yield from self._chunks(messages, kwargs)
        finally:
            self._open_streams -= 1

    async def _astream(
        self, messages, stop=None, run_manager=None, **kwargs
    ) -> AsyncIterator[ChatGenerationChunk]:
        self.seen.append(kwargs)
        self._open_streams += 1
        try:
            for chunk in self._chunks(messages, kwargs):
                await asyncio.sleep(self.delay_s)
                yield chunk
        finally:
            self._open_streams -= 1
