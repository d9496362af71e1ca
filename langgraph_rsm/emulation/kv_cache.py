"""Paged key-value memory with a prefix cache: blocks, their reference counts and their content.

A block is in exactly one state:

```
blank ──allocate──▶ in use ──release──▶ blank                 (content unknown)
                      │  ▲
             release  ▼  │ acquire (prefix hit)
                   cached and free ──allocate──▶ in use       (least recently used first)
```

The idea is PagedAttention (arXiv 2309.06180) with the hash-chained prefix cache of vLLM.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable

from langgraph_rsm.emulation.errors import EngineStateError
from langgraph_rsm.emulation.request import BlockKeys


class KVCache:
    """Blocks of key-value memory.

    Args:
        num_blocks: Number of blocks, >= 1.
        prefix_caching: Whether contents are remembered after release.
    """

    __slots__ = ("_blank", "_by_key", "_idle", "_keys", "_prefix_caching", "_refs", "num_blocks")

    def __init__(self, *, num_blocks: int, prefix_caching: bool) -> None:
        self.num_blocks = num_blocks
        self._prefix_caching = prefix_caching
        self._refs = [0] * num_blocks
        self._keys: list[Hashable | None] = [None] * num_blocks
        self._by_key: dict[Hashable, int] = {}
        self._blank = list(range(num_blocks))
        self._idle: OrderedDict[int, None] = OrderedDict()

    @property
    def free_blocks(self) -> int:
        """Blocks that can be allocated now, by eviction if need be."""
        return len(self._blank) + len(self._idle)

    @property
    def usage_ratio(self) -> float:
        """Share of the blocks that running requests hold, 0..1."""
        return 1.0 - self.free_blocks / self.num_blocks

    def match(self, keys: BlockKeys, *, limit: int) -> list[int]:
        """Return the cached blocks that hold the longest prefix, at most `limit` of them.

        The blocks are not taken; call `acquire` before anything else is allocated.
        """
        hits: list[int] = []
        if self._by_key:
            for index in range(limit):
                block = self._by_key.get(keys.key(index))
                if block is None:
                    break
                hits.append(block)
        return hits

    def count_idle(self, blocks: Iterable[int]) -> int:
        """Return how many of `blocks` count as free although they hold content."""
        return sum(block in self._idle for block in blocks)

    def acquire(self, blocks: Iterable[int]) -> None:
        """Take cached blocks for one more sequence."""
        for block in blocks:
            self._idle.pop(block, None)
            self._refs[block] += 1

    def allocate(self, count: int) -> list[int]:
        """Take `count` blocks of unknown content, evicting the least recently used if need be.

        Raises:
            EngineStateError: When fewer than `count` blocks are free.
        """
        if count > self.free_blocks:
            msg = f"cannot allocate {count} blocks: {self.free_blocks} are free"
            raise EngineStateError(msg)
        taken = [self._blank.pop() if self._blank else self._evict() for _ in range(count)]
        for block in taken:
            self._refs[block] = 1
        return taken

    def _evict(self) -> int:
        block, _ = self._idle.popitem(last=False)
        del self._by_key[self._keys[block]]
        self._keys[block] = None
        return block

    def register(self, block: int, key: Hashable) -> None:
        """Remember the content of a full block that is in use.

        When an equal block is known already, this one stays private and is forgotten on release.
        """
        if self._prefix_caching and self._keys[block] is None and key not in self._by_key:
            self._by_key[key] = block
            self._keys[block] = key

    def release(self, blocks: list[int]) -> None:
        """Give back the blocks of one sequence, in the order of the sequence."""
        # From the end, so that the tail of a prefix is evicted before the head that it needs.
        for block in reversed(blocks):
            self._refs[block] -= 1
            if self._refs[block]:
                continue
            if self._keys[block] is None:
                self._blank.append(block)
            else:
                self._idle[block] = None

    def validate(self, held: Iterable[int]) -> None:
        """Check that every block is in exactly one state.

        Args:
            held: All blocks of all sequences, with repetitions.

        Raises:
            EngineStateError: When an invariant does not hold.
        """
        refs = Counter(held)
        checks = {
            "reference counts": all(
                self._refs[block] == refs[block] for block in range(self.num_blocks)
            ),
            "conservation": sorted((*self._blank, *self._idle, *refs))
            == list(range(self.num_blocks)),
            "blank blocks have no content": all(self._keys[b] is None for b in self._blank),
            "idle blocks have content": all(self._keys[b] is not None for b in self._idle),
            "index": self._by_key
            == {key: block for block, key in enumerate(self._keys) if key is not None},
        }
        broken = [name for name, holds in checks.items() if not holds]
        if broken:
            msg = f"key-value memory is inconsistent: {', '.join(broken)}"
            raise EngineStateError(msg)
