"""Key-value memory counted in blocks per segment: what the block-level cache does, in O(segments).

A segment's resident blocks are always a prefix of it, since the tail is evicted first. Segments
that running requests use are pinned; the others are evicted least recently used first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langgraph_rsm.simulation.programs import Segment


@dataclass(slots=True)
class _Resident:
    """A segment that is in memory or in use."""

    blocks: int = 0
    users: int = 0


class PrefixCache:
    """Blocks of one engine.

    Args:
        num_blocks: Size of the memory.
        block_size: Tokens per block.
        caching: Whether contents are remembered after their last user has left.
    """

    __slots__ = ("_block_size", "_caching", "_idle", "_idle_blocks", "_segments", "_total", "_used")

    def __init__(self, *, num_blocks: int, block_size: int, caching: bool) -> None:
        self._total = num_blocks
        self._block_size = block_size
        self._caching = caching
        self._used = 0
        self._idle_blocks = 0
        self._segments: dict[str, _Resident] = {}
        self._idle: OrderedDict[str, _Resident] = OrderedDict()

    @property
    def free_blocks(self) -> int:
        """Blocks that can be had now, by eviction if need be."""
        return self._total - self._used

    @property
    def usage_ratio(self) -> float:
        """Share of the blocks that running requests hold, 0..1."""
        return self._used / self._total

    def match(self, segments: Sequence[Segment], *, limit: int) -> tuple[int, int]:
        """Look the longest cached prefix up.

        Returns:
            The blocks of the prefix, at most `limit`, and how many free blocks pinning takes.
        """
        hits = idle = end = 0
        unbroken = True
        for name, tokens in segments:
            start, end = end, end + tokens
            resident = self._segments.get(name)
            if resident is None:
                unbroken = False
                continue
            if not resident.users:
                idle += resident.blocks
            if unbroken:
                full = end // self._block_size - start // self._block_size
                blocks = min(resident.blocks, full, limit - hits)
                hits += blocks
                unbroken = blocks == full
        return hits, idle

    def pin(self, segments: Sequence[Segment]) -> None:
        """Count one more user of the segments."""
        if not self._caching:
            return
        for name, _ in segments:
            resident = self._segments.get(name)
            if resident is None:
                resident = self._segments[name] = _Resident()
            elif not resident.users and self._idle.pop(name, None) is not None:
                self._idle_blocks -= resident.blocks
                self._used += resident.blocks
            resident.users += 1

    def allocate(self, blocks: int) -> None:
        """Take blocks for content that is not known yet; `free_blocks` must suffice."""
        missing = blocks - (self._total - self._used - self._idle_blocks)
        while missing > 0:
            name, resident = next(iter(self._idle.items()))
            evicted = min(missing, resident.blocks)
            resident.blocks -= evicted
            self._idle_blocks -= evicted
            missing -= evicted
            if not resident.blocks:
                del self._idle[name], self._segments[name]
        self._used += blocks

    def publish(self, segments: Sequence[Segment], computed: int) -> int:
        """Let others share what the first `computed` tokens fill.

        Returns:
            How many blocks became shared; the rest was known already and stays private.
        """
        if not self._caching:
            return 0
        shared = end = 0
        last = len(segments) - 1
        for index, (name, tokens) in enumerate(segments):
            start = end
            end = computed if index == last else min(end + tokens, computed)
            blocks = end // self._block_size - start // self._block_size
            resident = self._segments[name]
            if blocks > resident.blocks:
                shared += blocks - resident.blocks
                resident.blocks = blocks
            if end >= computed:
                break
        return shared

    def release(self, segments: Sequence[Segment], private: int) -> None:
        """Give private blocks back and count one user of the segments less."""
        self._used -= private
        if not self._caching:
            return
        for name, _ in reversed(segments):
            resident = self._segments[name]
            resident.users -= 1
            if resident.users:
                continue
            if resident.blocks:
                self._used -= resident.blocks
                self._idle_blocks += resident.blocks
                self._idle[name] = resident
            else:
                del self._segments[name]
