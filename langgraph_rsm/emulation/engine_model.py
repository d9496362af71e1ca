"""A pure model of a continuously batching LLM engine: requests in, batches and tokens out.

```
submit ──▶ waiting ──admit──▶ prefilling ──prompt done──▶ decoding ──▶ finished
              ▲                   │                          │
              └────── preempt: memory full, recompute ───────┘        abort leaves from anywhere
```

One iteration is one forward pass over a batch (Orca, OSDI'22), assembled as vLLM V1 does: first
one token for each decoding sequence, then prefill chunks of the sequences that hold a seat, then
admissions, all under one token budget. The model does no I/O and reads no clock: the caller turns
`Iteration.duration_s` into real or virtual time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from operator import attrgetter

from langgraph_rsm.emulation.errors import EngineStateError, RequestRejectedError
from langgraph_rsm.emulation.kv_cache import KVCache
from langgraph_rsm.emulation.profiles import EngineProfile, SchedulingPolicy
from langgraph_rsm.emulation.request import (
    Admission,
    EngineRequest,
    Finished,
    FinishReason,
    Iteration,
    IterationOutcome,
)
from langgraph_rsm.emulation.sequence import EngineSequence
from langgraph_rsm.emulation.stats import EngineCounters, EngineStats
from langgraph_rsm.emulation.waiting import WaitingQueue

_by_rank = attrgetter("rank")


@dataclasses.dataclass(slots=True)
class _Batch:
    """The iteration under way."""

    budget: int
    decodes: list[EngineSequence] = dataclasses.field(default_factory=list)
    chunks: dict[EngineSequence, int] = dataclasses.field(default_factory=dict)
    attention_pairs: float = 0.0
    admitted: list[Admission] = dataclasses.field(default_factory=list)
    preempted: list[str] = dataclasses.field(default_factory=list)

    def add_chunk(self, sequence: EngineSequence, tokens: int) -> None:
        self.budget -= tokens
        self.chunks[sequence] = tokens
        self.attention_pairs += tokens * (sequence.computed + tokens / 2)


class EngineModel:
    """One engine. Call `begin_iteration` and `end_iteration` in turn while there is work.

    Requests may be submitted and aborted at any time, also between the two calls: a request that
    arrives during an iteration waits for the next one, an abort frees seat and memory at once.
    A step costs O(running sequences + blocks touched), whatever the number of waiting requests.

    Args:
        profile: What the engine can hold and what an iteration costs.
    """

    def __init__(self, profile: EngineProfile) -> None:
        self.profile = profile
        self._cache = KVCache(num_blocks=profile.num_blocks, prefix_caching=profile.prefix_caching)
        self._sequences: dict[str, EngineSequence] = {}
        self._waiting: WaitingQueue[EngineSequence] = WaitingQueue()
        self._prefilling: dict[EngineSequence, None] = {}
        self._decoding: dict[EngineSequence, None] = {}
        self._batch: _Batch | None = None
        self._submitted = 0
        self._counters = EngineCounters()

    @property
    def has_work(self) -> bool:
        """Whether any request waits or runs."""
        return bool(self._sequences)

    @property
    def running(self) -> int:
        """Sequences that hold a seat."""
        return len(self._prefilling) + len(self._decoding)

    def stats(self) -> EngineStats:
        """Return a snapshot of the load and a copy of the totals."""
        return EngineStats(
            running=self.running,
            waiting=len(self._waiting),
            kv_usage_ratio=self._cache.usage_ratio,
            counters=dataclasses.replace(self._counters),
        )

    # ── requests ────────────────────────────────────────────────────────────────────────────

    def submit(self, request: EngineRequest, now_s: float) -> None:
        """Put a request in the waiting queue.

        Args:
            request: What to generate.
            now_s: Arrival on the caller's clock, in seconds; must not decrease between calls.

        Raises:
            RequestRejectedError: When the request can never run on this engine.
        """
        self._check_request(request)
        self._submitted += 1
        rank = (request.priority, now_s, self._submitted)
        sequence = EngineSequence(request, rank)
        self._sequences[request.request_id] = sequence
        self._waiting.push(sequence)

    def _check_request(self, request: EngineRequest) -> None:
        profile = self.profile
        tokens = request.prompt_tokens + request.max_tokens
        if request.request_id in self._sequences:
            msg, param = f"request {request.request_id!r} is in the engine already", "request_id"
        elif request.prompt_tokens < 1 or request.output_tokens < 1:
            msg, param = "a request needs a prompt and at least 1 token to generate", "max_tokens"
        elif tokens > profile.max_request_tokens:
            msg, param = (
                f"{request.prompt_tokens} prompt tokens plus max_tokens={request.max_tokens} "
                f"exceed this engine's bound of {profile.max_request_tokens} tokens "
                f"(max_model_len={profile.max_model_len}, kv_tokens={profile.kv_tokens}); "
                "shorten the prompt or lower max_tokens",
                "max_tokens",
            )
        elif request.priority and profile.scheduling_policy is SchedulingPolicy.FCFS:
            msg, param = (
                f"priority={request.priority} needs the priority scheduling policy; "
                "this engine runs fcfs",
                "priority",
            )
        else:
            return
        raise RequestRejectedError(msg, param=param)

    def abort(self, request_id: str) -> Finished | None:
        """Drop a request and free its seat and memory at once.

        Returns:
            The final record, or None when the request is not in the engine (any more).
        """
        sequence = self._sequences.get(request_id)
        if sequence is None:
            return None
        if sequence.waiting:
            self._waiting.withdraw(sequence)
        else:
            self._drop_from_batch(sequence)
            self._leave_seat(sequence)
        return self._finish(sequence, FinishReason.ABORT)

    def _drop_from_batch(self, sequence: EngineSequence) -> None:
        if self._batch is None:
            return
        self._batch.chunks.pop(sequence, None)
        if sequence in self._batch.decodes:
            self._batch.decodes.remove(sequence)

    def _finish(self, sequence: EngineSequence, reason: FinishReason) -> Finished:
        del self._sequences[sequence.request_id]
        self._counters.count_finish(reason)
        return sequence.finish(reason)

    # ── an iteration ────────────────────────────────────────────────────────────────────────

    def begin_iteration(self) -> Iteration | None:
        """Choose the next batch and take the memory that it needs.

        Returns:
            The batch and its duration, or None when there is no work.

        Raises:
            EngineStateError: When the previous iteration was not ended.
        """
        if self._batch is not None:
            msg = "begin_iteration was called twice; call end_iteration first"
            raise EngineStateError(msg)
        if not self._sequences:
            return None
        batch = _Batch(self.profile.max_num_batched_tokens)
        self._schedule_decodes(batch)
        self._schedule_chunks(batch)
        if not batch.preempted:
            self._admit(batch)
        self._batch = batch
        return self._describe(batch)

    def _describe(self, batch: _Batch) -> Iteration:
        prefill_tokens = sum(batch.chunks.values())
        kv_tokens_read = sum([sequence.computed for sequence in batch.decodes])
        duration_s = self.profile.cost.duration_s(
            prefill_tokens=prefill_tokens,
            decode_sequences=len(batch.decodes),
            kv_tokens_read=kv_tokens_read,
            attention_pairs=batch.attention_pairs,
        )
        return Iteration(
            duration_s=duration_s / self.profile.speed,
            prefill_tokens=prefill_tokens,
            decode_sequences=len(batch.decodes),
            kv_tokens_read=kv_tokens_read,
            attention_pairs=batch.attention_pairs,
            admitted=tuple(batch.admitted),
            preempted=tuple(batch.preempted),
        )

    def _schedule_decodes(self, batch: _Batch) -> None:
        full = [sequence for sequence in self._decoding if sequence.computed == sequence.capacity]
        # Best rank first, here and below: whoever is preempted was not scheduled before.
        for sequence in sorted(full, key=_by_rank) if len(full) > 1 else full:
            if not sequence.waiting:
                self._grow(sequence, 1, batch)
        batch.decodes = list(self._decoding)
        batch.budget -= len(batch.decodes)

    def _schedule_chunks(self, batch: _Batch) -> None:
        for sequence in sorted(self._prefilling, key=_by_rank):
            if batch.budget <= 0:
                break
            if sequence.waiting:
                continue
            tokens = min(sequence.goal - sequence.computed, batch.budget)
            if self._grow(sequence, tokens, batch):
                batch.add_chunk(sequence, tokens)
                self._register(sequence, sequence.computed + tokens)

    def _grow(self, sequence: EngineSequence, tokens: int, batch: _Batch) -> bool:
        """Make room for `tokens` more, preempting the worst; False when that is itself."""
        missing = sequence.computed + tokens - sequence.capacity
        count = -(-missing // self.profile.block_size)
        while count > self._cache.free_blocks:
            victim = max((*self._decoding, *self._prefilling), key=_by_rank)
            self._preempt(victim, batch)
            if victim is sequence:
                return False
        if count > 0:
            self._register(sequence, sequence.computed)
            self._extend(sequence, self._cache.allocate(count))
        return True

    def _extend(self, sequence: EngineSequence, blocks: list[int]) -> None:
        sequence.blocks.extend(blocks)
        sequence.capacity += len(blocks) * self.profile.block_size

    def _preempt(self, sequence: EngineSequence, batch: _Batch) -> None:
        self._leave_seat(sequence)
        sequence.reset()
        self._waiting.push(sequence)
        self._counters.preemptions += 1
        batch.preempted.append(sequence.request_id)

    def _admit(self, batch: _Batch) -> None:
        seats = self.profile.max_num_seqs - self.running
        while seats > 0 and batch.budget > 0 and self._waiting and self._cache.free_blocks:
            sequence = self._waiting.peek()
            if not self._take_memory(sequence, batch.budget):
                break
            self._waiting.pop()
            self._prefilling[sequence] = None
            self._count_admission(sequence, batch)
            tokens = min(sequence.goal - sequence.computed, batch.budget)
            batch.add_chunk(sequence, tokens)
            self._register(sequence, sequence.computed + tokens)
            seats -= 1

    def _take_memory(self, sequence: EngineSequence, budget: int) -> bool:
        """Take the cached prefix and the blocks of the first chunk, if all its tokens would fit.

        The bound on all tokens, not only on the chunk, keeps a half-loaded prompt from being
        preempted by the next one. The last token is always computed: its output is what counts.
        """
        size = self.profile.block_size
        hits = self._cache.match(sequence.keys, limit=(sequence.goal - 1) // size)
        needed = -(-sequence.goal // size) - len(hits)
        if needed > self._cache.free_blocks - self._cache.count_idle(hits):
            return False
        self._cache.acquire(hits)
        self._extend(sequence, hits)
        sequence.computed = sequence.capacity
        sequence.registered = len(hits)
        tokens = min(sequence.goal - sequence.computed, budget)
        self._extend(sequence, self._cache.allocate(-(-tokens // size)))
        return True

    def _count_admission(self, sequence: EngineSequence, batch: _Batch) -> None:
        resumed = sequence.cached_tokens is not None
        if not resumed:
            counters = self._counters
            sequence.cached_tokens = sequence.computed
            counters.prompt_tokens += sequence.prompt_tokens
            counters.cached_prompt_tokens += sequence.computed
            if self.profile.prefix_caching:
                counters.prefix_queries += sequence.prompt_tokens
                counters.prefix_hits += sequence.computed
        batch.admitted.append(
            Admission(
                request_id=sequence.request_id, cached_tokens=sequence.computed, resumed=resumed
            )
        )

    def _register(self, sequence: EngineSequence, tokens: int) -> None:
        """Publish the blocks that `tokens` fill, also those that this iteration will fill.

        A request admitted later in the same batch may share them: within a forward pass every
        layer writes its keys and values before it reads any.
        """
        for index in range(sequence.registered, tokens // self.profile.block_size):
            self._cache.register(sequence.blocks[index], sequence.keys.key(index))
            sequence.registered = index + 1

    def _leave_seat(self, sequence: EngineSequence) -> None:
        self._register(sequence, sequence.computed)
        self._cache.release(sequence.blocks)
        sequence.blocks = []
        sequence.capacity = 0
        sequence.registered = 0
        del (self._decoding if sequence.decoding else self._prefilling)[sequence]

    def end_iteration(self) -> IterationOutcome:
        """Apply the batch: emit tokens and let finished requests go.

        Raises:
            EngineStateError: When no iteration was begun.
        """
        batch, self._batch = self._batch, None
        if batch is None:
            msg = "end_iteration was called without begin_iteration"
            raise EngineStateError(msg)
        emitting = batch.decodes
        ended = []
        for sequence in emitting:
            sequence.computed += 1
            if sequence.computed >= sequence.end:
                ended.append(sequence)
        prefilled = self._end_chunks(batch)
        ended += [sequence for sequence in prefilled if sequence.computed >= sequence.end]
        emitted = tuple([s.request_id for s in emitting] + [s.request_id for s in prefilled])
        self._counters.iterations += 1
        self._counters.generation_tokens += len(emitted)
        return IterationOutcome(
            emitted=emitted,
            first_tokens=tuple([s.request_id for s in prefilled if s.goal == s.prompt_tokens]),
            finished=tuple([self._complete(sequence) for sequence in ended]),
        )

    def _end_chunks(self, batch: _Batch) -> list[EngineSequence]:
        """Advance the prefill chunks; return the sequences that thereby emit a token."""
        done = []
        for sequence, tokens in batch.chunks.items():
            sequence.computed += tokens
            if sequence.computed == sequence.goal:
                del self._prefilling[sequence]
                self._decoding[sequence] = None
                sequence.decoding = True
                done.append(sequence)
        return done

    def _complete(self, sequence: EngineSequence) -> Finished:
        self._leave_seat(sequence)
        return self._finish(sequence, sequence.request.finish_reason)

    # ── invariants ──────────────────────────────────────────────────────────────────────────

    def validate(self) -> None:
        """Check every invariant; for tests, O(blocks + requests).

        Raises:
            EngineStateError: When one does not hold; the message names it.
        """
        seated = (*self._prefilling, *self._decoding)
        self._cache.validate(block for sequence in seated for block in sequence.blocks)
        waiting = list(self._waiting)
        checks = {
            "seats": len(seated) <= self.profile.max_num_seqs,
            "one place each": _is_partition(self._sequences.values(), (*seated, *waiting)),
            "waiting count": len(waiting) == len(self._waiting),
            "waiting hold nothing": not any(s.blocks or s.computed for s in waiting),
            "seated do not wait": not any(s.waiting for s in seated),
            "capacity": all(
                s.computed <= s.capacity == len(s.blocks) * self.profile.block_size for s in seated
            ),
            "phase": all(s.decoding for s in self._decoding)
            and all(not s.decoding and s.computed < s.goal for s in self._prefilling),
            "progress": all(s.goal <= s.end and s.computed < s.end for s in self._decoding),
        }
        broken = [name for name, holds in checks.items() if not holds]
        if broken:
            msg = f"engine model is inconsistent: {', '.join(broken)}"
            raise EngineStateError(msg)


def _is_partition(known: Iterable[EngineSequence], placed: tuple[EngineSequence, ...]) -> bool:
    return len(placed) == len(set(placed)) and set(known) == set(placed)
