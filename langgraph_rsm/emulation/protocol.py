"""The request body of `/v1/chat/completions`: what is understood, ignored and refused.

Field names are OpenAI's, plus the extensions of vLLM that a scheduler needs. Sampling settings
are accepted and have no effect, because the text is a function of the prompt. A field that would
change the shape of the answer and is not implemented is refused by name.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from langgraph_rsm.emulation.errors import RequestRejectedError


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _OpenBody(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class TextPart(_OpenBody):
    """A piece of a message; only text is understood."""

    type: Literal["text"]
    text: str


class FunctionCall(_OpenBody):
    """The function that an assistant called, its arguments as JSON text."""

    name: str
    arguments: str = ""


class ToolCall(_OpenBody):
    """A tool call inside an assistant message."""

    function: FunctionCall


class Message(_OpenBody):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[TextPart] | None = None
    tool_calls: list[ToolCall] | None = None

    @property
    def text(self) -> str:
        """The content as one string; empty when there is none."""
        if self.content is None:
            return ""
        if isinstance(self.content, str):
            return self.content
        return " ".join(part.text for part in self.content)


class Function(_OpenBody):
    """A function that the model may call; `parameters` is a JSON schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Tool(_OpenBody):
    """A tool that the model may call."""

    type: Literal["function"] = "function"
    function: Function


class FunctionName(_OpenBody):
    """The name of the function that must be called."""

    name: str


class NamedToolChoice(_OpenBody):
    """The request for one certain tool."""

    type: Literal["function"] = "function"
    function: FunctionName


class StreamOptions(_OpenBody):
    """Options of a streamed answer."""

    include_usage: bool = False


class JsonSchema(_OpenBody):
    """A named schema that the answer must fit; None allows any object."""

    schema_: dict[str, Any] | None = Field(default=None, alias="schema")


class ResponseFormat(_OpenBody):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class ChatRequest(_Body):
    """A chat completion request."""

    model: str | None = None
    messages: Annotated[list[Message], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: str | list[str] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    seed: int | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    response_format: ResponseFormat | None = None

    priority: int = 0
    cache_salt: str | None = None
    ignore_eos: bool = False
    request_id: str | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    emulate_tool_rounds: Annotated[int, Field(ge=0, le=16)] | None = None

    n: Literal[1] | None = 1
    logprobs: Literal[False] | None = False
    top_logprobs: Literal[0] | None = None

    # Accepted without effect.
    chat_template_kwargs: Any = None
    frequency_penalty: float | None = None
    logit_bias: Any = None
    metadata: Any = None
    min_p: float | None = None
    parallel_tool_calls: bool | None = None
    prediction: Any = None
    presence_penalty: float | None = None
    prompt_cache_key: Any = None
    reasoning_effort: Any = None
    repetition_penalty: float | None = None
    safety_identifier: Any = None
    service_tier: Any = None
    skip_special_tokens: bool | None = None
    spaces_between_special_tokens: bool | None = None
    store: Any = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    user: Any = None
    verbosity: Any = None

    @property
    def token_bound(self) -> int | None:
        """The requested bound on generated tokens; None leaves it to the engine."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stop_strings(self) -> list[str]:
        """The stop strings, without empty ones."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [stop for stop in stops if stop]

    @property
    def include_usage(self) -> bool:
        """Whether a streamed answer ends with a chunk of usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    @model_validator(mode="after")
    def _check_continuation(self) -> Self:
        if not self.continue_final_message:
            return self
        if self.add_generation_prompt:
            msg = (
                "Cannot set both continue_final_message and add_generation_prompt to True; "
                "send add_generation_prompt=false"
            )
            raise ValueError(msg)
        if self.messages[-1].role != "assistant":
            msg = "continue_final_message needs an assistant message at the end of messages"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _check_tools(self) -> Self:
        names = {tool.function.name for tool in self.tools or ()}
        choice = self.tool_choice
        if isinstance(choice, NamedToolChoice) and choice.function.name not in names:
            msg = f"tool_choice names {choice.function.name!r}, which is not among tools"
            raise ValueError(msg)
        if choice == "required" and not names:
            msg = 'tool_choice "required" needs tools'
            raise ValueError(msg)
        return self


def parse_chat_request(body: bytes) -> ChatRequest:
    """Return the request in a JSON body.

    Raises:
        RequestRejectedError: When the body is not JSON or a field is wrong or not supported; the
            message and `param` name the field.
    """
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as exc:
        # The deepest error is that of the branch of a union that fits best.
        errors = exc.errors(include_url=False, include_context=False)
        error = max(errors, key=lambda each: len(each["loc"]))
        param = _field_path(error["loc"])
        raise RequestRejectedError(
            _explain(error["type"], error["msg"], param), param=param
        ) from exc


_FIELD_NAME = re.compile(r"[a-z_]+")
"""Tells a field from the tag that pydantic adds for the branch of a union."""


def _field_path(location: tuple[int | str, ...]) -> str | None:
    """Return `messages[0].role` for `("messages", 0, "role")`; None for the whole body."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _FIELD_NAME.fullmatch(part) and part != "str":
            path += f".{part}"
    return path.removeprefix(".") or None


_REFUSED_VALUES = frozenset({"n", "logprobs", "top_logprobs"})


def _explain(kind: str, message: str, param: str | None) -> str:
    if kind == "json_invalid":
        return f"the request body is not valid JSON: {message}"
    if param is None:
        return message.removeprefix("Value error, ")
    if kind == "extra_forbidden" or param in _REFUSED_VALUES:
        return f"{param!r} with this value is not supported by the embedded engine; leave it out"
    return f"{param}: {message}"
