"""What the engine model is asked to do and what it reports back.

The model never sees text. The content of a request is a `BlockKeys`: one key per block such that
equal keys mean equal content from the first token up to the end of that block, as the chained
block hashes of vLLM's prefix cache do.
"""

from __future__ import annotations

import dataclasses
import enum
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from typing import Protocol


class FinishReason(enum.Enum):
    """Why a request ended."""

    STOP = "stop"
    """The generation reached its natural end."""
    LENGTH = "length"
    """The generation was cut at `max_tokens`."""
    ABORT = "abort"
    """The client went away."""


class BlockKeys(Protocol):
    """Identity of the content of a sequence, block by block."""

    def key(self, index: int) -> Hashable:
        """Return the identity of all tokens up to the end of block `index` (from 0).

        The model asks only for blocks inside the prompt and the tokens generated so far.
        """
        ...


class TokenBlocks:
    """Block keys of a known token sequence: each key chains the previous one.

    Args:
        tokens: Prompt tokens followed by the tokens that will be generated.
        block_size: Tokens per block.
        salt: Requests with different salts never share a block.
    """

    __slots__ = ("_block_size", "_keys", "_salt", "_tokens")

    def __init__(self, tokens: Sequence[str], *, block_size: int, salt: str = "") -> None:
        self._tokens = tokens
        self._block_size = block_size
        self._salt = salt
        self._keys: list[int] = []

    def key(self, index: int) -> Hashable:
        """Return the chained hash of block `index`; amortized O(block_size)."""
        keys, size = self._keys, self._block_size
        while len(keys) <= index:
            parent: Hashable = keys[-1] if keys else self._salt
            start = len(keys) * size
            keys.append(hash((parent, *self._tokens[start : start + size])))
        return keys[index]


class SegmentBlocks:
    """Block keys of a sequence made of named segments, without any token.

    For simulations: a shared system prompt followed by an append-only conversation is
    `SegmentBlocks((("system", 512), ("program-7", 4096)), block_size=16)`. Two sequences share
    blocks as long as they name the same segments in the same order; all but the last segment
    reached must also have equal lengths.

    Args:
        segments: Pairs of name and length in tokens (> 0), in order. The last segment also covers
            whatever is generated after it.
        block_size: Tokens per block.
    """

    __slots__ = ("_block_size", "_chains", "_ends")

    def __init__(self, segments: Sequence[tuple[Hashable, int]], *, block_size: int) -> None:
        self._block_size = block_size
        self._ends: list[int] = []
        self._chains: list[Hashable] = []
        chain: Hashable = None
        end = 0
        for name, length in segments:
            self._chains.append((chain, name))
            chain = (chain, name, length)
            end += length
            self._ends.append(end)

    def key(self, index: int) -> Hashable:
        """Return the identity of block `index`; O(log segments)."""
        end = (index + 1) * self._block_size
        segment = min(bisect_left(self._ends, end), len(self._ends) - 1)
        return (self._chains[segment], end)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """One generation to run."""

    request_id: str
    """Unique among the requests in the engine."""
    prompt_tokens: int
    """Length of the prompt, >= 1."""
    max_tokens: int
    """Most tokens to generate, >= 1."""
    natural_tokens: int | None = None
    """Tokens after which the generation ends by itself, >= 1; None means never."""
    priority: int = 0
    """Lower runs earlier; must be 0 on a first-come-first-served engine."""
    blocks: BlockKeys | None = None
    """Identity of the content; None means that it shares nothing with any other request."""

    @property
    def output_tokens(self) -> int:
        """Number of tokens that the request generates unless it is aborted."""
        if self.natural_tokens is None:
            return self.max_tokens
        return min(self.max_tokens, self.natural_tokens)

    @property
    def finish_reason(self) -> FinishReason:
        """Reason with which the request ends unless it is aborted."""
        ends_by_itself = self.natural_tokens is not None and self.natural_tokens <= self.max_tokens
        return FinishReason.STOP if ends_by_itself else FinishReason.LENGTH


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A request took a seat."""

    request_id: str
    """The request."""
    cached_tokens: int
    """Tokens found in the prefix cache, which are not computed."""
    resumed: bool
    """Whether it ran before and was preempted."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A request left the engine."""

    request_id: str
    """The request."""
    reason: FinishReason
    """Why it ended."""
    prompt_tokens: int
    """Length of its prompt."""
    cached_tokens: int
    """Prompt tokens found in the prefix cache when it was first admitted."""
    generated_tokens: int
    """Tokens it generated."""
    preemptions: int
    """How often it lost its seat for lack of memory."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Iteration:
    """The batch that the engine decided to run."""

    duration_s: float
    """How long it takes, with the speed of the profile applied."""
    prefill_tokens: int
    """Prompt tokens and recomputed tokens in the batch."""
    decode_sequences: int
    """Sequences that compute exactly their latest token."""
    kv_tokens_read: int
    """Resident tokens of the decoding sequences."""
    attention_pairs: float
    """Sum of p*c + p^2/2 over the prefill chunks of p tokens after c resident ones."""
    admitted: tuple[Admission, ...]
    """Requests that took a seat, in order."""
    preempted: tuple[str, ...]
    """Requests that lost their seat for lack of memory, in order."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IterationOutcome:
    """What an iteration produced."""

    emitted: tuple[str, ...]
    """Requests that got one more token each."""
    first_tokens: tuple[str, ...]
    """Those of `emitted` for which it was the first token."""
    finished: tuple[Finished, ...]
    """Requests that ended with this iteration; aborted ones are reported by `abort` instead."""
