"""Turn a chat request into what the engine runs and what the client will read.

The chat template brackets each message with role markers, so the prompt of a later turn begins
with the whole prompt and answer of the earlier one, and the prefix cache finds them:

    [tools] system … end  user … end  assistant … end  user … end  assistant

The answer is a function of the server seed, the optional `seed` of the request and the prompt
*without* a partial assistant message at its end. So an answer that was cut and is continued with
`continue_final_message` is the one that would have been written at once: a partial message of k
tokens is continued at token k.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from langgraph_rsm.emulation.errors import RequestRejectedError, UnsupportedSchemaError
from langgraph_rsm.emulation.profiles import EngineProfile
from langgraph_rsm.emulation.protocol import ChatRequest, Message, NamedToolChoice, Tool
from langgraph_rsm.emulation.request import EngineRequest, TokenBlocks
from langgraph_rsm.emulation.structured import make_value
from langgraph_rsm.emulation.text import (
    digest_tokens,
    mix,
    natural_length,
    split_pieces,
    tokenize,
    write_pieces,
)

_START, _END = "<|start|>", "<|end|>"
_TOOLS, _CALL, _CALL_END = "<|tools|>", "<|call|>", "<|call_end|>"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall:
    """The tool call that the answer will make."""

    name: str
    """Name of the tool."""
    arguments: str
    """Arguments as JSON text."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A request with its answer, before the engine has spent any time on it."""

    prompt: Sequence[str]
    """Prompt tokens, including a partial assistant message."""
    pieces: Sequence[str]
    """What each generated token adds to the content or, for a tool call, to its arguments."""
    tokens: Sequence[str]
    """The generated tokens, as they would appear in a later prompt; as many as `pieces`."""
    call: PlannedCall | None
    """The tool call; None for an answer in text."""
    max_tokens: int
    """Bound on generated tokens."""
    natural_tokens: int | None
    """Tokens after which the answer ends by itself; None means never."""

    def engine_request(
        self, request_id: str, *, block_size: int, chat: ChatRequest
    ) -> EngineRequest:
        """Return the request for the engine model."""
        return EngineRequest(
            request_id=request_id,
            prompt_tokens=len(self.prompt),
            max_tokens=self.max_tokens,
            natural_tokens=self.natural_tokens,
            priority=chat.priority,
            blocks=TokenBlocks(
                [*self.prompt, *self.tokens], block_size=block_size, salt=chat.cache_salt or ""
            ),
        )


def plan_completion(chat: ChatRequest, profile: EngineProfile, *, seed: int) -> Completion:
    """Return the answer to a request.

    Args:
        chat: The request.
        profile: The engine, whose bounds limit an answer without `max_tokens`.
        seed: Server seed.

    Raises:
        RequestRejectedError: When the prompt leaves no room for an answer.
        UnsupportedSchemaError: When no value fits the `response_format`.
    """
    partial = chat.messages[-1] if chat.continue_final_message else None
    asked = chat.messages[:-1] if partial else chat.messages
    prompt = _render_prompt(asked, chat.tools)
    digest = digest_tokens(prompt, seed=seed if chat.seed is None else mix(seed, chat.seed))
    written = tokenize(partial.text) if partial else []
    max_tokens = _bound_tokens(chat, profile, prompt_tokens=len(prompt) + len(written))
    call = None if partial else _plan_call(chat, seed)
    if call is not None:
        pieces, tokens = _render_answer_call(call)
        natural: int | None = len(pieces)
    else:
        pieces, natural = _write_answer(chat, digest, start=len(written), max_tokens=max_tokens)
        tokens = [piece.strip() for piece in pieces]
    return Completion(
        prompt=[*prompt, *written],
        pieces=pieces,
        tokens=tokens,
        call=call,
        max_tokens=max_tokens,
        natural_tokens=natural,
    )


def _bound_tokens(chat: ChatRequest, profile: EngineProfile, *, prompt_tokens: int) -> int:
    room = profile.max_request_tokens - prompt_tokens
    if room < 1:
        msg = (
            f"the prompt has {prompt_tokens} tokens, but this engine's bound on prompt plus answer "
            f"is {profile.max_request_tokens}; shorten the messages"
        )
        raise RequestRejectedError(msg, param="messages")
    return chat.token_bound or room


# ── prompt ──────────────────────────────────────────────────────────────────────────────────────


def _render_prompt(messages: Sequence[Message], tools: Sequence[Tool] | None) -> list[str]:
    tokens: list[str] = []
    if tools:
        tokens.append(_TOOLS)
        for tool in tools:
            tokens += tokenize(tool.model_dump_json())
    for message in messages:
        tokens += (_START, message.role, *tokenize(message.text))
        for call in message.tool_calls or ():
            tokens += _render_call(call.function.name, call.function.arguments)
        tokens.append(_END)
    return [*tokens, _START, "assistant"]


def _render_call(name: str, arguments: str) -> list[str]:
    return [_CALL, name, *tokenize(arguments), _CALL_END]


# ── answers in text or JSON ─────────────────────────────────────────────────────────────────────


def _write_answer(
    chat: ChatRequest, digest: int, *, start: int, max_tokens: int
) -> tuple[list[str], int | None]:
    """Return the pieces of the answer from token `start` on and where it ends by itself."""
    value = _structured_text(chat, digest)
    if value is not None:
        pieces = split_pieces(value)[start:]
        return _end_of_text(pieces)
    natural = None if chat.ignore_eos else natural_length(digest) - start
    count = max_tokens if natural is None else min(max_tokens, natural)
    pieces = write_pieces(digest, start=start, count=count)
    if chat.stop_strings:
        return _cut_at_stop(pieces, chat.stop_strings, natural)
    return _end_of_text(pieces) if not pieces else (pieces, natural)


def _end_of_text(pieces: list[str]) -> tuple[list[str], int]:
    """Return the pieces of a text that ends; an engine emits at least its end-of-text token."""
    pieces = pieces or [""]
    return pieces, len(pieces)


def _structured_text(chat: ChatRequest, digest: int) -> str | None:
    form = chat.response_format
    if form is None or form.type == "text":
        return None
    schema = form.json_schema.schema_ if form.json_schema else None
    try:
        value = make_value(schema, digest=digest) if schema else {"answer": "done"}
    except UnsupportedSchemaError as exc:
        path = "response_format.json_schema.schema"
        raise UnsupportedSchemaError(str(exc), param=path) from exc
    return json.dumps(value)


def _cut_at_stop(
    pieces: list[str], stops: Sequence[str], natural: int | None
) -> tuple[list[str], int | None]:
    """Cut before the first stop string; its own tokens are generated but not shown."""
    text = "".join(pieces)
    found = [(at, at + len(stop)) for stop in stops if (at := text.find(stop)) >= 0]
    if not found:
        return pieces, natural
    begin, end = min(found)
    ends = list(accumulate(map(len, pieces)))
    used = next(count for count, upto in enumerate(ends, start=1) if upto >= end)
    starts = [0, *ends]
    cut = [piece[: max(0, begin - starts[i])] for i, piece in enumerate(pieces[:used])]
    return cut, used


# ── tool calls ──────────────────────────────────────────────────────────────────────────────────


def _plan_call(chat: ChatRequest, seed: int) -> PlannedCall | None:
    tools = chat.tools or []
    if not tools or chat.tool_choice == "none":
        return None
    # Up to the last user message, so that the decision is stable over the rounds of one turn.
    last_user = max((i for i, m in enumerate(chat.messages) if m.role == "user"), default=0)
    turn = digest_tokens(_render_prompt(chat.messages[: last_user + 1], tools), seed=seed)
    rounds_done = sum(m.role in ("tool", "function") for m in chat.messages[last_user + 1 :])
    if isinstance(chat.tool_choice, NamedToolChoice):
        wanted = chat.tool_choice.function.name
        tool = next(tool for tool in tools if tool.function.name == wanted)
    elif chat.tool_choice == "required" or rounds_done < _tool_rounds(chat, turn):
        tool = tools[mix(turn, rounds_done) % len(tools)]
    else:
        return None
    arguments = _make_arguments(tool, mix(turn, -1 - rounds_done))
    return PlannedCall(name=tool.function.name, arguments=json.dumps(arguments))


def _tool_rounds(chat: ChatRequest, turn: int) -> int:
    """Return how many tool results the model wants before it answers, 1..3 unless asked."""
    if chat.emulate_tool_rounds is not None:
        return chat.emulate_tool_rounds
    return 1 + turn % 3


def _make_arguments(tool: Tool, digest: int) -> Any:
    """Return arguments that fit; none when the schema is beyond us, as a poor model would."""
    try:
        return make_value({"type": "object", **(tool.function.parameters or {})}, digest=digest)
    except UnsupportedSchemaError:
        return {}


def _render_answer_call(call: PlannedCall) -> tuple[list[str], list[str]]:
    """Return pieces and tokens; only the tokens inside the arguments add to the arguments."""
    inner = split_pieces(call.arguments)
    return ["", "", *inner, ""], _render_call(call.name, call.arguments)
