"""What the simulator asks of an engine, and the answer by the iteration-level reference model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from langgraph_rsm.emulation.engine_model import EngineModel
from langgraph_rsm.emulation.request import EngineRequest, SegmentBlocks

if TYPE_CHECKING:
    from langgraph_rsm.emulation.profiles import EngineProfile
    from langgraph_rsm.simulation.programs import Segment


@dataclass(frozen=True, slots=True)
class Job:
    """A request to an engine."""

    key: str
    """Unique among the requests in the engine."""
    segments: tuple[Segment, ...]
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Done:
    """A request that an engine has finished."""

    key: str
    cached_tokens: int
    """Prompt tokens that were in the cache."""
    first_token_s: float


@dataclass(slots=True, kw_only=True)
class EngineTotals:
    """What an engine did."""

    iterations: int = 0
    busy_s: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    preemptions: int = 0
    """Times that a request lost its memory to others and began again."""


class SimulatedEngine(Protocol):
    """An engine under a virtual clock.

    The caller submits at the present moment, calls `begin` when everything that happens at this
    moment has happened, and calls `advance` exactly at `due_s`.
    """

    totals: EngineTotals

    @property
    def due_s(self) -> float:
        """When the next thing may have happened; infinite for an engine at rest."""

    def submit(self, job: Job, now: float) -> None:
        """Queue a request; it can join the batch at the end of the iteration under way."""

    def begin(self, now: float) -> None:
        """Decide what to run next, unless something is under way."""

    def advance(self, now: float) -> list[Done]:
        """End what was under way and return the requests that finished with it."""


class ReferenceEngine:
    """The engine model, one iteration at a time: exact, and the yardstick of the fast one.

    Args:
        profile: The engine.
    """

    def __init__(self, profile: EngineProfile) -> None:
        self.totals = EngineTotals()
        self.due_s = float("inf")
        self._model = EngineModel(profile)
        self._first_s: dict[str, float] = {}

    def submit(self, job: Job, now: float) -> None:
        """Queue a request."""
        blocks = SegmentBlocks(job.segments, block_size=self._model.profile.block_size)
        request = EngineRequest(
            request_id=job.key,
            prompt_tokens=job.prompt_tokens,
            max_tokens=job.output_tokens,
            blocks=blocks,
        )
        self._model.submit(request, now)

    def begin(self, now: float) -> None:
        """Begin an iteration unless one is under way; O(running)."""
        if self.due_s < float("inf"):
            return
        iteration = self._model.begin_iteration()
        if iteration is not None:
            self.due_s = now + iteration.duration_s
            self.totals.busy_s += iteration.duration_s

    def advance(self, now: float) -> list[Done]:
        """End the iteration."""
        self.due_s = float("inf")
        outcome = self._model.end_iteration()
        for key in outcome.first_tokens:
            self._first_s[key] = now
        counters = self._model.stats().counters
        self.totals.iterations = counters.iterations
        self.totals.prompt_tokens = counters.prompt_tokens
        self.totals.cached_tokens = counters.cached_prompt_tokens
        self.totals.generated_tokens = counters.generation_tokens
        self.totals.preemptions = counters.preemptions
        return [
            Done(done.request_id, done.cached_tokens, self._first_s.pop(done.request_id))
            for done in outcome.finished
        ]
