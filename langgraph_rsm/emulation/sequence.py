"""The engine's record of one request while it waits or runs."""

from __future__ import annotations

from langgraph_rsm.emulation.request import BlockKeys, EngineRequest, Finished, FinishReason


class PrivateBlocks:
    """Block keys of a request whose content nobody shares."""

    __slots__ = ()

    def key(self, index: int) -> tuple[PrivateBlocks, int]:
        """Return a key that only this request has."""
        return (self, index)


class EngineSequence:
    """A request in the engine, mutable: the model changes it in every iteration.

    `computed` counts the tokens whose keys and values are resident. A sequence prefills until
    `computed == goal` and then emits a token; while it decodes, `computed` is always the prompt
    plus the emitted tokens minus one, so one counter says everything.
    """

    __slots__ = (
        "blocks",
        "cached_tokens",
        "capacity",
        "computed",
        "decoding",
        "end",
        "goal",
        "keys",
        "preemptions",
        "prompt_tokens",
        "rank",
        "registered",
        "request",
        "request_id",
        "waiting",
    )

    def __init__(self, request: EngineRequest, rank: tuple[int, float, int]) -> None:
        self.request = request
        self.request_id = request.request_id
        self.prompt_tokens = request.prompt_tokens
        self.keys: BlockKeys = PrivateBlocks() if request.blocks is None else request.blocks
        self.rank = rank
        self.waiting = False
        self.decoding = False
        self.computed = 0
        self.goal = request.prompt_tokens
        # The last token ends the request, so its keys and values are never computed.
        self.end = request.prompt_tokens + request.output_tokens - 1
        self.blocks: list[int] = []
        self.capacity = 0
        self.registered = 0
        self.preemptions = 0
        self.cached_tokens: int | None = None

    @property
    def generated_tokens(self) -> int:
        """Tokens emitted so far."""
        known = self.computed + 1 if self.decoding else self.goal
        return known - self.prompt_tokens

    def reset(self) -> None:
        """Forget everything resident, keep the tokens: the sequence will recompute them."""
        self.goal = self.prompt_tokens + self.generated_tokens
        self.decoding = False
        self.computed = 0
        self.preemptions += 1

    def finish(self, reason: FinishReason) -> Finished:
        """Return the final record of the request."""
        return Finished(
            request_id=self.request_id,
            reason=reason,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens or 0,
            generated_tokens=self.generated_tokens,
            preemptions=self.preemptions,
        )
