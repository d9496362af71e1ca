"""A model that answers by the prompt alone, and crews that use it. No network."""

import asyncio
import threading

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from pydantic import PrivateAttr


class Meeting:
    """Calls that must be open at the same time: each waits until all of them have come."""

    def __init__(self, *names):
        self.names = frozenset(names)
        self._come = {name: threading.Event() for name in names}

    def attend(self, name):
        self._come[name].set()
        for other, event in self._come.items():
            assert event.wait(5), f"{name} ran without {other}"

    async def aattend(self, name):
        self._come[name].set()
        await asyncio.to_thread(self.attend, name)


class ScriptedLLM(BaseLLM):
    """Answers `<task> done`; notes what it was asked."""

    _calls: list = PrivateAttr(default_factory=list)
    _failing: set = PrivateAttr(default_factory=set)
    _meeting: Meeting | None = PrivateAttr(default=None)

    def _take(self, messages):
        texts = [m["content"] for m in messages if "Task: do " in str(m["content"])]
        name = texts[-1].partition("Task: do ")[2].split()[0].strip(".")
        self._calls.append((name, [dict(m) for m in messages]))
        self._track_token_usage_internal(
            {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}
        )
        return name

    def _answer(self, name, messages):
        if name in self._failing:
            raise ValueError(f"{name} broke")
        text = str(messages)
        if "Action Input" not in text:
            return f"{name} done"  # the task has no tools
        if "Observation:" not in str(messages[1:]).replace("the result of the action", ""):
            return f'Thought: look\nAction: search\nAction Input: {{"query": "{name}"}}'
        return f"Thought: I know\nFinal Answer: {name} done"

    def call(self, messages, *args, **kwargs):
        name = self._take(messages)
        if self._meeting and name in self._meeting.names:
            self._meeting.attend(name)
        return self._answer(name, messages)

    async def acall(self, messages, *args, **kwargs):
        name = self._take(messages)
        if self._meeting and name in self._meeting.names:
            await self._meeting.aattend(name)
        return self._answer(name, messages)

    def supports_function_calling(self):
        return False

    @property
    def order(self):
        """Names of the tasks in the order of their calls."""
        return [name for name, _ in self._calls]

    @property
    def transcripts(self):
        """What each task was asked."""
        return dict(self._calls)


def scripted(*, failing=(), meeting=()):
    llm = ScriptedLLM(model="scripted")
    llm._failing = set(failing)
    llm._meeting = Meeting(*meeting) if meeting else None
    return llm


def agent_of(llm, role="writer", **fields):
    return Agent(role=role, goal="g", backstory="b", llm=llm, max_retry_limit=0, **fields)


def task_of(name, agent, **fields):
    return Task(
        name=name, description=f"do {name} .", expected_output="text", agent=agent, **fields
    )


def five(llm, *, agents=None, **fields):
    """Three independent tasks, a fourth after the first two, a fifth after the rest."""
    agents = agents or [agent_of(llm, f"agent {i}") for i in range(5)]
    agents = agents * 5 if len(agents) == 1 else agents
    t1, t2, t3 = (task_of(f"t{i + 1}", agents[i], context=[]) for i in range(3))
    t4 = task_of("t4", agents[3], context=[t1, t2])
    t5 = task_of("t5", agents[4], context=[t3, t4])
    own = list({id(a): a for a in agents}.values())
    return Crew(agents=own, tasks=[t1, t2, t3, t4, t5], **fields)
