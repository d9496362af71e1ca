"""Calls as scheduling knows them: what is asked, where a call is in its life, what it used."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from enum import Enum

_call_numbers = itertools.count(1)


def _next_call_id() -> str:
    return f"call-{next(_call_numbers)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One model call, as far as scheduling needs to know it; prompts are never part of it."""

    program_id: str
    """The program (usually one graph run) that the call belongs to."""
    engines: tuple[str, ...]
    """Ids of the engines that can serve the call; at least one."""
    accounts: tuple[str, ...] = ()
    """Whose key the call uses at each of the engines, in their order: limits of rate are each key's
    own. Empty when all use the same."""
    call_id: str = field(default_factory=_next_call_id)
    """Unique among the calls of one scheduler; a process-wide number when not given."""
    thread_id: str = ""
    """The branch of the program that waits for the answer; empty for the main one."""
    call_site: str = ""
    """Where in the program the call is made, such as `research/planner`; empty when unknown."""
    graph: str = ""
    """Fingerprint of the graph that the program runs: programs with the same one are expected to
    cost alike; empty when unknown."""
    tenant: str = "default"
    """Who the program is run for."""
    weight: float = 1.0
    """Share relative to others, above 0: of the tenant, or of the program where the tenant is
    `default`."""
    parents: tuple[str, ...] = ()
    """Calls of the program whose answers this one needed; empty when they were not observed."""
    remaining_path_s: float | None = None
    """Expected engine time of the longest chain of calls that begins with this one, in seconds;
    None when the graph does not tell."""
    prompt_tokens: int = 0
    """Estimated length of the prompt; 0 when unknown."""
    output_tokens: int = 0
    """Expected length of the answer; 0 when unknown."""
    prefix_id: str = ""
    """Identity of a prefix that calls of several programs share, such as a system prompt."""
    prefix_tokens: int = 0
    """Part of `prompt_tokens` that `prefix_id` covers."""
    deadline_s: float | None = None
    """When the answer is due, in seconds of the scheduler's clock; None for no deadline."""
    interactive: bool = False
    """Whether a person is waiting for this very answer."""
    preemptible: bool = False
    """Whether the call can be stopped in the middle and taken up again, see `Preempt`."""
    oracle_remaining_s: float | None = None
    """True engine time that the program still needs, this call included; for simulations only, and
    only the policy `srpt_oracle` looks at it."""

    def account_at(self, engine_id: str) -> str:
        """Return whose key the call uses at one of its engines."""
        return self.accounts[self.engines.index(engine_id)] if self.accounts else ""


class CallState(Enum):
    """Where a call is in its life."""

    WAITING = "waiting"
    """In a queue, no slot."""
    DISPATCHED = "dispatched"
    """A slot is reserved; the caller has been told but has not begun yet."""
    RUNNING = "running"
    """The engine works on it."""
    PREEMPTING = "preempting"
    """It has been asked to give its slot back and to wait again, and has not yet done so."""
    DONE = "done"
    """Answered."""
    FAILED = "failed"
    """Ended by an error."""
    CANCELLED = "cancelled"
    """Given up by its caller, before or after it had a slot."""
    REJECTED = "rejected"
    """Never queued: too many calls waited."""

    __hash__ = object.__hash__  # identity is enough and three times as fast as Enum's own


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Tokens of one call as the provider counted them."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    """Part of `input_tokens` served from the engine's prefix cache."""
