"""`ScheduledChatOpenAI`, importable by name: for configuration files that name a model class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_openai import ChatOpenAI

from langgraph_rsm.models.model_class import scheduled_class

if TYPE_CHECKING:

    class ScheduledChatOpenAI(ChatOpenAI):
        """`ChatOpenAI` whose calls wait for a slot of a shared scheduler."""

        scheduler: Any = None
        """A `Scheduler`, the name of one, or the path of its TOML file; None: the global one."""
        capacity: int | None = None
        """Most calls in flight at the endpoint; None as for `Engine`."""
else:
    ScheduledChatOpenAI = scheduled_class(ChatOpenAI)
