"""Format a completion as the JSON body or the server-sent events of the OpenAI protocol."""

from __future__ import annotations

import json
import time
from typing import Any

from langgraph_rsm.emulation.completion import Completion
from langgraph_rsm.emulation.request import Finished, FinishReason

_dump = json.JSONEncoder(separators=(",", ":")).encode

DONE = b"data: [DONE]\n\n"
"""The event that ends every stream."""


class AnswerFormat:
    """The answer to one request, as one body or in chunks.

    Args:
        completion: The planned answer.
        response_id: Id shown to the client.
        model: Served model name.
    """

    def __init__(self, completion: Completion, *, response_id: str, model: str) -> None:
        self._completion = completion
        self._head = {"id": response_id, "created": int(time.time()), "model": model}
        head = _dump({**self._head, "object": "chat.completion.chunk"})
        # Everything but the delta is the same for all chunks of an answer.
        self._chunk_start = f'data: {head[:-1]},"choices":[{{"index":0,"delta":'
        self._usage_start = f'data: {head[:-1]},"choices":[],"usage":'

    def body(self, finished: Finished) -> dict[str, Any]:
        """Return the body of an answer that is not streamed."""
        message: dict[str, Any] = {"role": "assistant", "content": None}
        message |= self._delta(0, finished.generated_tokens) or {"content": ""}
        for call in message.get("tool_calls", ()):
            del call["index"]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": self._finish_reason(finished),
        }
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(finished),
        }

    def role_chunk(self) -> bytes:
        """Return the event that opens a stream."""
        return self._chunk('{"role":"assistant","content":""}')

    def token_chunk(self, start: int, end: int) -> bytes:
        """Return the event for tokens `start` to `end`; empty when they show nothing."""
        delta = self._delta(start, end)
        return self._chunk(_dump(delta)) if delta else b""

    def final_chunks(self, finished: Finished, *, include_usage: bool) -> bytes:
        """Return the events that end a stream."""
        reason = _dump(self._finish_reason(finished))
        chunks = self._chunk("{}", reason)
        if include_usage:
            chunks += f"{self._usage_start}{_dump(_usage(finished))}}}\n\n".encode()
        return chunks + DONE

    def _chunk(self, delta: str, reason: str = "null") -> bytes:
        end = f',"logprobs":null,"finish_reason":{reason}}}]}}\n\n'
        return f"{self._chunk_start}{delta}{end}".encode()

    def _delta(self, start: int, end: int) -> dict[str, Any] | None:
        text = "".join(self._completion.pieces[start:end])
        call = self._completion.call
        if call is None:
            return {"content": text} if text else None
        delta: dict[str, Any] = {"index": 0, "function": {"arguments": text}}
        # The second token of a call is its name.
        if start < 2 <= end:
            delta |= {"id": f"call-{self._head['id']}", "type": "function"}
            delta["function"] = {"name": call.name, "arguments": text}
        elif not text:
            return None
        return {"tool_calls": [delta]}

    def _finish_reason(self, finished: Finished) -> str:
        if finished.reason is FinishReason.STOP and self._completion.call is not None:
            return "tool_calls"
        return finished.reason.value


def _usage(finished: Finished) -> dict[str, Any]:
    return {
        "prompt_tokens": finished.prompt_tokens,
        "completion_tokens": finished.generated_tokens,
        "total_tokens": finished.prompt_tokens + finished.generated_tokens,
        "prompt_tokens_details": {"cached_tokens": finished.cached_tokens},
    }


def error_body(message: str, *, kind: str, status: int, param: str | None = None) -> dict[str, Any]:
    """Return the body of an error answer, in the shape of vLLM."""
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}
