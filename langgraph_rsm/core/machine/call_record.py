"""Call records: what the core knows of each call, and which event may follow which."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langgraph_rsm.core.call import Call, CallState
from langgraph_rsm.core.events import Cancelled, Failed, Finished, Preempted, Progress, Started
from langgraph_rsm.errors import InvalidTransitionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langgraph_rsm.core.programs.program import Program
    from langgraph_rsm.core.queueing.fairness import Tenant
    from langgraph_rsm.core.queueing.queues import Ticket

_STORY_LENGTH = 16
"""Transitions remembered per call; a life without preemption has four."""
_GROWTH_RATIO = 1.25
"""Room to keep for a context that is longer than those of its graph used to be at their end: it has
a few more calls ahead of it, and each makes it longer."""
_REMEMBERED = 1024
"""Ended calls whose story is kept, so that a late second ending can be explained."""

_ALLOWED: Mapping[tuple[CallState, type], CallState] = {
    (CallState.WAITING, Cancelled): CallState.CANCELLED,
    (CallState.DISPATCHED, Started): CallState.RUNNING,
    (CallState.DISPATCHED, Failed): CallState.FAILED,
    (CallState.DISPATCHED, Cancelled): CallState.CANCELLED,
    (CallState.RUNNING, Progress): CallState.RUNNING,
    (CallState.RUNNING, Finished): CallState.DONE,
    (CallState.RUNNING, Failed): CallState.FAILED,
    (CallState.RUNNING, Cancelled): CallState.CANCELLED,
    (CallState.PREEMPTING, Progress): CallState.PREEMPTING,
    (CallState.PREEMPTING, Preempted): CallState.WAITING,
    (CallState.PREEMPTING, Finished): CallState.DONE,
    (CallState.PREEMPTING, Failed): CallState.FAILED,
    (CallState.PREEMPTING, Cancelled): CallState.CANCELLED,
}
"""Transition table: (state, event) to next state; what is missing is impossible. The core itself
moves a call from WAITING to DISPATCHED and from RUNNING to PREEMPTING."""


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """What the core knows of one call; only the core changes it."""

    call: Call
    program: Program
    tenant: Tenant
    ticket: Ticket
    state: CallState
    inherited_s: float
    """Critical path of the program when the call arrived: its own path begins there."""
    arrived_s: float
    engine_id: str | None = None
    """The engine whose slot it has or had; None before dispatch."""
    dispatched_s: float | None = None
    """Latest dispatch; a preempted call has several."""
    started_s: float | None = None
    """Start of the present slice; None while it waits."""
    ended_s: float | None = None
    sliced_s: float = 0.0
    """Engine time of former slices."""
    waited_s: float = 0.0
    """Waiting time of former waits."""
    charged_s: float = 0.0
    """Service already counted for the program."""
    charged_at_s: float = 0.0
    """Up to when the service that runs by the clock is counted."""
    settled_s: float = 0.0
    """Service of former slices, already counted for the tenant."""
    reserved_s: float = 0.0
    """Service of the present slice that the tenant was charged in advance."""
    boosted: bool = False
    """Whether it has a slot because it was overdue or promoted."""
    story: list[tuple[float, CallState]] | None = None
    """States entered after the first, which is WAITING; None as long as there are none."""

    def wait_s(self) -> float:
        """Return the time in queues until the latest dispatch, or the end of a call without one."""
        until_s = self.dispatched_s if self.dispatched_s is not None else self.ended_s
        return self.waited_s + (0.0 if until_s is None else until_s - self.ticket.submitted_s)

    def service_s(self) -> float:
        """Return the time on engines from start to end; 0 before either."""
        return 0.0 if self.ended_s is None else self.engine_s(self.ended_s)

    def engine_s(self, now: float) -> float:
        """Return the time on engines up to `now`."""
        running_s = 0.0 if self.started_s is None else now - self.started_s
        return self.sliced_s + running_s

    @property
    def reserved_tokens(self) -> int:
        """Tokens that count for the engine's limit before it is known what the call used."""
        return self.call.prompt_tokens + self.call.output_tokens

    def context_tokens(self) -> int:
        """Return the length to which the program's context is expected to grow."""
        program = self.program
        tokens = max(self.reserved_tokens, program.context_tokens)
        return max(int(_GROWTH_RATIO * tokens), program.expected_tokens)

    def note(self, state: CallState, now: float) -> None:
        """Enter a state."""
        self.state = state
        story = self.story
        if story is None:
            self.story = [(now, state)]
            return
        story.append((now, state))
        if len(story) > _STORY_LENGTH:
            del story[0]

    def tell(self) -> tuple[str, ...]:
        """Return the recent transitions, oldest first, as text."""
        where = f" on {self.engine_id}" if self.engine_id else ""
        story = [(self.arrived_s, CallState.WAITING), *(self.story or ())]
        return tuple(f"{state.value}{where} at {at:.6f} s" for at, state in story)


class CallBook:
    """Records of all live calls, and of those that ended last."""

    def __init__(self) -> None:
        self.live: dict[str, CallRecord] = {}
        """Calls that wait or hold a slot, by id."""
        self._ended: OrderedDict[str, CallRecord] = OrderedDict()

    def get(self, call_id: str) -> CallRecord | None:
        """Return a live or recently ended call; None if unknown."""
        return self.live.get(call_id) or self._ended.get(call_id)

    def refuse_known(self, call_id: str) -> None:
        """Check that a call is new.

        Raises:
            InvalidTransitionError: It was submitted before.
        """
        if call_id in self.live or call_id in self._ended:
            raise self._impossible(call_id, "Submitted a second time")

    def advance(
        self, event: Started | Progress | Preempted | Finished | Failed | Cancelled
    ) -> tuple[CallRecord, CallState]:
        """Move the call of an event to its next state; returns its record and the former state.

        Raises:
            InvalidTransitionError: The event is impossible in the call's state.
        """
        record = self.live.get(event.call_id)
        name = type(event).__name__
        if record is None:
            raise self._impossible(event.call_id, f"{name} for a call that is not live")
        before = record.state
        state = _ALLOWED.get((before, type(event)))
        if state is None:
            raise self._impossible(event.call_id, f"{name} while {before.value}")
        if state is not before:
            record.note(state, event.now)
        return record, before

    def close(self, record: CallRecord, now: float) -> None:
        """Remember a call as ended, and forget the one that ended first."""
        record.ended_s = now
        self._ended[record.call.call_id] = self.live.pop(record.call.call_id)
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)

    def _impossible(self, call_id: str, what: str) -> InvalidTransitionError:
        record = self.get(call_id)
        story = () if record is None else record.tell()
        return InvalidTransitionError(call_id=call_id, what=what, story=story)
