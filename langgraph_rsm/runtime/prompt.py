"""Prompt: how long a prompt is, and which prefix it shares, without keeping any of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_core.messages import SystemMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.messages import BaseMessage

_CHARS_PER_TOKEN = 4
"""As LangChain's `count_tokens_approximately`; a load balancer needs the order of magnitude."""
_MESSAGE_TOKENS = 3
"""Role and separators of a message in the usual chat templates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSize:
    """What scheduling may know of a prompt."""

    tokens: int = 0
    """Estimated length."""
    prefix_id: str = ""
    """Hash of the system message; the same for the same text in this process, empty without one."""
    prefix_tokens: int = 0
    """Part of `tokens` that the system message takes."""


def measure_prompt(messages: Sequence[BaseMessage]) -> PromptSize:
    """Return the size of a prompt; O(messages), the text of a message is only measured."""
    sizes = [_tokens_of(message) for message in messages]
    if not sizes or not isinstance(messages[0], SystemMessage):
        return PromptSize(tokens=sum(sizes))
    # Python's own hash: salted per process, so that it tells nothing about the text elsewhere.
    prefix_id = f"{hash(str(messages[0].content)) & 0xFFFF_FFFF_FFFF_FFFF:016x}"
    return PromptSize(tokens=sum(sizes), prefix_id=prefix_id, prefix_tokens=sizes[0])


def _tokens_of(message: BaseMessage) -> int:
    content = message.content
    if isinstance(content, str):
        length = len(content)
    else:
        length = sum(
            len(part) if isinstance(part, str) else len(str(part.get("text") or ""))
            for part in content
        )
    return length // _CHARS_PER_TOKEN + _MESSAGE_TOKENS
