"""A chat model that answers from the prompt alone: equal prompts get equal answers."""

import hashlib
import json

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field


class ScriptedModel(BaseChatModel):
    """Calls each bound tool once, fills in JSON fields, and says the first word that fits."""

    script: dict[str, str] = Field(default_factory=dict)
    """Answer by a part of the prompt; the first part that occurs counts."""

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **kwargs):
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        prompt = "\n".join(str(message.content) for message in messages)
        return ChatResult(
            generations=[ChatGeneration(message=self._answer(prompt, messages, kwargs))]
        )

    def _answer(self, prompt, messages, kwargs):
        digest = hashlib.sha256(prompt.encode()).hexdigest()[:12]
        tools = kwargs.get("tools", ())
        done = sum(isinstance(message, ToolMessage) for message in messages)
        if done < len(tools):
            call = {"name": tools[done]["function"]["name"], "args": {"query": digest}}
            return AIMessage("", tool_calls=[{**call, "id": f"call-{done}"}])
        if "response_format" in kwargs:
            schema = kwargs["response_format"]["json_schema"]["schema"]
            return AIMessage(json.dumps({name: f"{name} {digest}" for name in schema["required"]}))
        said = (answer for part, answer in self.script.items() if part in prompt)
        return AIMessage(next(said, f"answer, {digest}"))
