"""One question to a chat model with an answer of a given form, within a time.

The analyzers of nodes and of plans ask this way; what the answer is worth is theirs to judge.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.constants import TAG_NOSTREAM
from pydantic import BaseModel


def ask_structured(
    model: BaseChatModel,
    schema: type[BaseModel],
    messages: Sequence[BaseMessage],
    *,
    max_tokens: int,
    timeout_s: float,
) -> tuple[Any, int]:
    """Ask once and return the answer and the tokens it took.

    Args:
        model: A chat model that supports `with_structured_output`.
        schema: The form of the answer.
        messages: The question.
        max_tokens: Most tokens of the answer, where the model has such a setting.
        timeout_s: Seconds to wait.

    Returns:
        An instance of `schema`, a dict in its form, or None when the model gave none; and the
        tokens of question and answer, 0 when the model does not count them.

    Raises:
        TimeoutError: If the answer takes longer.
        Exception: What the provider raises.
    """
    structured = _structured(_limited(model, max_tokens), schema)
    # In a node, a chat would show the question's answer as if the node had given it.
    config: RunnableConfig = {"tags": [TAG_NOSTREAM]}
    answer = _within(timeout_s, lambda: structured.invoke(list(messages), config))
    if not isinstance(answer, dict) or "raw" not in answer:
        return answer, 0
    usage = getattr(answer["raw"], "usage_metadata", None) or {}
    return answer.get("parsed"), int(usage.get("total_tokens", 0))


def _limited(model: BaseChatModel, max_tokens: int) -> BaseChatModel:
    has_limit = "max_tokens" in type(model).model_fields
    return model.model_copy(update={"max_tokens": max_tokens}) if has_limit else model


def _structured(model: BaseChatModel, schema: type[BaseModel]) -> Any:
    options: dict[str, Any] = {"include_raw": True}
    try:
        return model.with_structured_output(schema, method="json_schema", **options)
    except (TypeError, ValueError):  # this provider knows no such method
        return model.with_structured_output(schema, **options)


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what `call` returns in another thread.

    Raises:
        TimeoutError: If it takes longer; the thread is left to end by itself.
        Exception: What `call` raises.
    """
    outcome: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((call(), None))
        except BaseException as error:
            outcome.append((None, error))

    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(run,), name="llm-analyzer", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        msg = f"no answer within {seconds} s"
        raise TimeoutError(msg)
    value, error = outcome[0]
    if error is not None:
        raise error
    return value
