"""A model that has rehearsed one question, and the tool that it uses: examples without a key."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool

POPULATION = {"Oslo": 717_710, "Bergen": 291_940}
SECONDS = 0.2
"""How long an answer takes."""


@tool
async def look_up(city: str) -> str:
    """Return the population of a city."""
    await asyncio.sleep(SECONDS)
    return str(POPULATION[city])


class Rehearsed(BaseChatModel):
    """Plans, works and judges from a script."""

    @property
    def _llm_type(self) -> str:
        return "rehearsed"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:  # noqa: ARG002
        """Return the model with tools at hand."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: Any = None,  # noqa: ARG002
        run_manager: Any = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        names = [tool["function"]["name"] for tool in kwargs.get("tools", ())]
        text = str(messages[-1].content)
        if "Plan" in names:
            message = _call("Plan", {"steps": [_find("oslo", "Oslo"), _find("bergen", "Bergen")]})
        elif "Verdict" in names:
            message = _call("Verdict", _judge(text))
        elif isinstance(messages[-1], ToolMessage) or "Find" not in text:
            numbers = [int(n) for n in re.findall(r"\d+", text)]
            message = AIMessage(str(abs(numbers[0] - sum(numbers[1:]))))
        else:
            message = _call("look_up", {"city": text.rpartition(" ")[2]})
        return ChatResult(generations=[ChatGeneration(message=message)])


def _call(name: str, arguments: dict[str, Any]) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": "1"}])


def _find(name: str, city: str) -> dict[str, Any]:
    return {"id": name, "task": f"Find the population of {city}", "depends_on": []}


def _judge(text: str) -> dict[str, Any]:
    found = dict(re.findall(r"^(\w+): (\d+)$", text, re.MULTILINE))
    if "difference" in found:
        return {"answer": f"Oslo, by {found['difference']} people"}
    sizes = f"{found['oslo']} and {found['bergen']}"
    step = {"id": "difference", "task": f"Subtract: {sizes}", "depends_on": []}
    return {"answer": None, "steps": [step]}
