"""Events to instructions: all parts of the core at work on one event at a time."""

from langgraph_rsm.core.machine.core import SchedulerCore

__all__ = ("SchedulerCore",)
