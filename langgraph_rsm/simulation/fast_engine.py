"""An engine that computes many iterations at once while its batch does not change.

It follows the rules of `emulation.EngineModel`. While all sequences of the batch decode, iteration
i of a stretch takes base + n*decode + kv*(K + i*n) for n sequences with K tokens of context, an
arithmetic series: its end is one formula, and so is the iteration under way when a new request
interrupts the stretch. Sequences of a batch advance together, so a shared counter of decode steps
stands for all of them: the next to finish is the top of a heap of counter values.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langgraph_rsm.simulation.engine import Done, EngineTotals
from langgraph_rsm.simulation.prefix_cache import PrefixCache

if TYPE_CHECKING:
    from langgraph_rsm.emulation.profiles import EngineProfile
    from langgraph_rsm.simulation.engine import Job
    from langgraph_rsm.simulation.programs import Segment

_INFINITE = float("inf")


class _Sequence:
    """A request in the engine."""

    __slots__ = (
        "cached_tokens",
        "computed",
        "end",
        "finish_step",
        "first_token_s",
        "goal",
        "hits",
        "key",
        "prompt_tokens",
        "rank",
        "segments",
        "shared",
        "waiting",
    )

    def __init__(self, job: Job, rank: tuple[float, int]) -> None:
        self.key = job.key
        self.rank = rank
        self.segments: tuple[Segment, ...] = job.segments
        self.prompt_tokens = job.prompt_tokens
        self.goal = job.prompt_tokens
        # The last token ends the request, so its keys and values are never computed.
        self.end = job.prompt_tokens + job.output_tokens - 1
        self.computed = 0
        self.finish_step = -1
        """Decode step after which it is done; -1 while it prefills."""
        self.hits = 0
        self.shared = 0
        """Blocks of its own that it has published."""
        self.waiting = True
        self.cached_tokens = -1
        self.first_token_s = 0.0

    def __lt__(self, other: _Sequence) -> bool:
        return self.rank < other.rank


@dataclass(slots=True)
class _Stretch:
    """Iterations under way: several that only decode, or one that does anything."""

    start_s: float
    iterations: int
    first_s: float
    """Duration of the first iteration."""
    growth_s: float = 0.0
    """By how much each iteration is longer than the one before."""
    chunks: list[tuple[_Sequence, int]] = field(default_factory=list)

    def end_s(self) -> float:
        """Return when the last iteration ends."""
        count = self.iterations
        return self.start_s + count * self.first_s + self.growth_s * count * (count - 1) / 2

    def cut(self, now: float) -> None:
        """End the stretch with the iteration that is under way at `now`."""
        elapsed = now - self.start_s
        linear = self.first_s - self.growth_s / 2
        # The root of growth/2 * i^2 + linear * i = elapsed, in the form that is exact for growth 0.
        root = 2 * elapsed / (linear + math.sqrt(linear * linear + 2 * self.growth_s * elapsed))
        # A moment that is the end of an iteration but for rounding belongs to it.
        self.iterations = min(self.iterations, max(1, math.ceil(root - 1e-9)))


class FastEngine:
    """One engine; see `SimulatedEngine`. A call costs O(segments + log running), not O(tokens).

    Args:
        profile: The engine; its requests all have the same priority.
    """

    def __init__(self, profile: EngineProfile) -> None:
        self.totals = EngineTotals()
        self.due_s = _INFINITE
        self._profile = profile
        self._size = profile.block_size
        self._cache = PrefixCache(
            num_blocks=profile.num_blocks,
            block_size=profile.block_size,
            caching=profile.prefix_caching,
        )
        self._waiting: list[_Sequence] = []
        self._prefilling: list[_Sequence] = []
        self._decoding: list[tuple[int, _Sequence]] = []
        self._context = 0
        self._step = 0
        self._phases = [0] * profile.block_size
        """Decoding sequences by (computed - step) modulo the block size."""
        self._stretch: _Stretch | None = None
        self._submitted = 0

    # Requests

    def submit(self, job: Job, now: float) -> None:
        """Queue a request; O(log waiting)."""
        tokens = job.prompt_tokens + job.output_tokens
        if tokens > self._profile.max_request_tokens:
            msg = (
                f"call {job.key!r} has {tokens} tokens; this engine takes at most "
                f"{self._profile.max_request_tokens}; raise --kv-tokens or --max-model-len"
            )
            raise ValueError(msg)
        self._submitted += 1
        heapq.heappush(self._waiting, _Sequence(job, (now, self._submitted)))
        stretch = self._stretch
        if stretch is not None and stretch.iterations > 1:
            stretch.cut(now)
            self.due_s = stretch.end_s()

    def begin(self, now: float) -> None:
        """Decide what to run until the batch changes."""
        if self._stretch is not None or not (self._waiting or self._prefilling or self._decoding):
            return
        stretch = self._plan_skip(now) or self._plan_iteration(now)
        self._stretch = stretch
        self.due_s = stretch.end_s()

    def _plan_skip(self, now: float) -> _Stretch | None:
        """Return a stretch of pure decoding, or None where an iteration must be looked at."""
        if self._prefilling or not self._decoding or self._may_admit():
            return None
        iterations = self._decoding[0][0] - self._step
        if self._blocks_for(iterations) > self._cache.free_blocks:
            return None
        first_s, growth_s = self._decode_s()
        return _Stretch(now, iterations, first_s, growth_s)

    def _decode_s(self) -> tuple[float, float]:
        cost, speed = self._profile.cost, self._profile.speed
        count = len(self._decoding)
        first_s = cost.base_s + cost.per_decode_s * count + cost.per_kv_token_s * self._context
        return first_s / speed, cost.per_kv_token_s * count / speed

    def _blocks_for(self, iterations: int) -> int:
        """Return how many blocks the decoding sequences need for so many more tokens each."""
        rounds, rest = divmod(iterations, self._size)
        blocks = rounds * len(self._decoding)
        for i in range(rest):
            blocks += self._phases[-(self._step + i) % self._size]
        return blocks

    def _may_admit(self) -> bool:
        seated = len(self._decoding)
        if not self._waiting or seated >= self._profile.max_num_seqs:
            return False
        sequence = self._waiting[0]
        needed, _ = self._needs(sequence)
        return needed <= self._cache.free_blocks and self._cache.free_blocks > 0

    def _needs(self, sequence: _Sequence) -> tuple[int, int]:
        """Return the free blocks that a waiting sequence needs, and its blocks in the cache."""
        hits, idle = self._cache.match(sequence.segments, limit=(sequence.goal - 1) // self._size)
        return -(-sequence.goal // self._size) - hits + idle, hits

    # One iteration

    def _plan_iteration(self, now: float) -> _Stretch:
        preempted = self._grow_decoding()
        budget = self._profile.max_num_batched_tokens - len(self._decoding)
        chunks: list[tuple[_Sequence, int]] = []
        for sequence in sorted(self._prefilling):
            if budget <= 0:
                break
            if sequence.waiting:  # preempted a moment ago
                continue
            tokens = min(sequence.goal - sequence.computed, budget)
            preempted |= self._grow(sequence, tokens)
            if not sequence.waiting:
                self._add_chunk(sequence, tokens, chunks)
                budget -= tokens
        if not preempted:
            self._admit(budget, chunks)
        first_s, _ = self._decode_s()
        cost, speed = self._profile.cost, self._profile.speed
        for sequence, tokens in chunks:
            pairs = tokens * (sequence.computed + tokens / 2)
            first_s += cost.per_prefill_token_s * tokens / speed
            first_s += cost.per_attention_pair_s * pairs / speed
        return _Stretch(now, 1, first_s, chunks=chunks)

    def _grow_decoding(self) -> bool:
        """Make sure that each decoding sequence has room for a token; True if one was preempted."""
        preempted = False
        while self._blocks_for(1) > self._cache.free_blocks:
            self._preempt(self._worst())
            preempted = True
        return preempted  # the blocks are taken when the iteration ends

    def _grow(self, sequence: _Sequence, tokens: int) -> bool:
        """Make room for a chunk; True if a sequence was preempted, maybe this one."""
        blocks = self._missing(sequence, tokens)
        preempted = False
        while blocks + self._blocks_for(1) > self._cache.free_blocks:
            victim = self._worst()
            self._preempt(victim)
            preempted = True
            if victim is sequence:
                return True
        self._cache.allocate(blocks)
        return preempted

    def _missing(self, sequence: _Sequence, tokens: int) -> int:
        have = max(sequence.hits, -(-sequence.computed // self._size))
        return -(-(sequence.computed + tokens) // self._size) - have

    def _add_chunk(
        self, sequence: _Sequence, tokens: int, chunks: list[tuple[_Sequence, int]]
    ) -> None:
        chunks.append((sequence, tokens))
        sequence.shared += self._cache.publish(sequence.segments, sequence.computed + tokens)

    def _admit(self, budget: int, chunks: list[tuple[_Sequence, int]]) -> None:
        seats = self._profile.max_num_seqs - len(self._decoding) - len(self._prefilling)
        while seats > 0 and budget > 0 and self._waiting:
            sequence = self._waiting[0]
            needed, hits = self._needs(sequence)
            free = self._cache.free_blocks - self._blocks_for(1)
            if needed > free or free <= 0:
                break
            heapq.heappop(self._waiting).waiting = False
            self._cache.pin(sequence.segments)
            sequence.hits = hits
            sequence.computed = hits * self._size
            if sequence.cached_tokens < 0:
                sequence.cached_tokens = sequence.computed
                self.totals.prompt_tokens += sequence.prompt_tokens
                self.totals.cached_tokens += sequence.computed
            tokens = min(sequence.goal - sequence.computed, budget)
            self._cache.allocate(self._missing(sequence, tokens))
            self._prefilling.append(sequence)
            self._add_chunk(sequence, tokens, chunks)
            budget -= tokens
            seats -= 1

    # Memory full

    def _computed(self, sequence: _Sequence) -> int:
        if sequence.finish_step < 0:
            return sequence.computed
        return sequence.end - (sequence.finish_step - self._step)

    def _worst(self) -> _Sequence:
        return max((*(entry[1] for entry in self._decoding), *self._prefilling))

    def _preempt(self, sequence: _Sequence) -> None:
        """Take all memory from a sequence; it waits again and computes everything anew."""
        generated = 0
        if sequence.finish_step >= 0:
            computed = self._computed(sequence)
            generated = computed + 1 - sequence.prompt_tokens
            self._decoding.remove((sequence.finish_step, sequence))
            heapq.heapify(self._decoding)
            self._context -= computed
            self._phases[(computed - self._step) % self._size] -= 1
            sequence.computed = computed
            sequence.finish_step = -1
        else:
            self._prefilling.remove(sequence)
            generated = sequence.goal - sequence.prompt_tokens
        self._free(sequence)
        sequence.goal = sequence.prompt_tokens + generated
        sequence.computed = 0
        sequence.waiting = True
        self.totals.preemptions += 1
        heapq.heappush(self._waiting, sequence)

    def _free(self, sequence: _Sequence) -> None:
        sequence.shared += self._cache.publish(sequence.segments, sequence.computed)
        have = max(sequence.hits, -(-sequence.computed // self._size))
        self._cache.release(sequence.segments, have - sequence.hits - sequence.shared)
        sequence.shared = sequence.hits = 0

    # The end of a stretch

    def advance(self, now: float) -> list[Done]:
        """Apply the iterations under way."""
        stretch = self._stretch
        assert stretch is not None, "only called when due"
        self._stretch = None
        self.due_s = _INFINITE
        count = stretch.iterations
        self.totals.iterations += count
        self.totals.busy_s += now - stretch.start_s
        self._cache.allocate(self._blocks_for(count))
        self._step += count
        self._context += count * len(self._decoding)
        self.totals.generated_tokens += count * len(self._decoding)
        done = []
        while self._decoding and self._decoding[0][0] <= self._step:
            done.append(self._leave(heapq.heappop(self._decoding)[1]))
        for sequence, tokens in stretch.chunks:
            sequence.computed += tokens
            if sequence.computed == sequence.goal:
                self._prefilling.remove(sequence)
                self._emit_first(sequence, now, done)
        return done

    def _emit_first(self, sequence: _Sequence, now: float, done: list[Done]) -> None:
        """Let a prefilled sequence decode, or go if this token is its only one."""
        self.totals.generated_tokens += 1
        if sequence.goal == sequence.prompt_tokens:
            sequence.first_token_s = now
        sequence.finish_step = self._step + sequence.end - sequence.computed
        self._context += sequence.computed
        self._phases[(sequence.computed - self._step) % self._size] += 1
        if sequence.computed >= sequence.end:
            done.append(self._leave(sequence))
        else:
            heapq.heappush(self._decoding, (sequence.finish_step, sequence))

    def _leave(self, sequence: _Sequence) -> Done:
        self._context -= sequence.end
        self._phases[(sequence.end - self._step) % self._size] -= 1
        sequence.computed = sequence.end
        self._free(sequence)
        return Done(sequence.key, sequence.cached_tokens, sequence.first_token_s)
