"""Programs to simulate: calls with their dependences, delays and token counts.

A prompt is a chain of *segments*, each known by a name. Two calls whose prompts begin with the same
segments share that prefix in an engine's cache; what a call generates continues its last segment.
An append-only conversation is thus one segment that grows, and a branch of a tree is a segment of
its own behind those of its ancestors.
"""

from __future__ import annotations

from dataclasses import dataclass

Segment = tuple[str, int]
"""(name, tokens): a piece of a prompt; the name says the content and all that comes before it."""


@dataclass(frozen=True, slots=True)
class CallSpec:
    """One model call of a program."""

    segments: tuple[Segment, ...]
    """The prompt from its beginning, at least one token; the answer continues the last segment."""
    output_tokens: int
    """Length of the answer, at least 1; only the engine knows it in advance."""
    parents: tuple[int, ...] = ()
    """Indexes of the earlier calls whose answers this one needs; empty: from the start."""
    delay_s: float = 0.0
    """Time from the last parent's answer (or the program's arrival) to the call, as for a tool."""
    call_site: str = ""
    """Node of the graph that makes the call."""
    thread_id: str = ""
    """Branch of the program; empty for the main one."""
    shared_tokens: int = 0
    """Leading tokens of the prompt that other programs share."""
    remaining_path_s: float | None = None
    """Expected engine time of the longest chain that begins here, as a compiler of static graphs
    can tell it; None when the graph does not say."""

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt."""
        return sum([tokens for _, tokens in self.segments])


@dataclass(frozen=True, slots=True)
class ProgramSpec:
    """One run of an agent."""

    program_id: str
    graph: str
    """Which agent; programs of one graph are expected to cost alike."""
    arrived_s: float
    calls: tuple[CallSpec, ...]
    """In an order in which parents come before their children."""
    tenant: str = "default"
    weight: float = 1.0

    @property
    def output_tokens(self) -> int:
        """Tokens that all its calls generate."""
        return sum([call.output_tokens for call in self.calls])
