"""Adaptive window: how many calls an engine takes at once without queueing them, found by trying.

An engine's own queue is first come, first served, so what stands in it is out of our order; but an
engine with too few calls is not full. Its first tokens tell the two apart. They come later for
longer prompts and in larger batches, too, which is no queue; but they come later for *all* short
prompts only if a queue never empties. So the least delay in a round of answers counts, as in CoDel
(Nichols and Jacobson, 2012). By Little's law its share of a call's duration is the share of the
calls in flight that stand in the engine's queue; the window gives up that many, as in TCP Vegas
(1995), and else grows while it is full.

Where the engine itself says how many requests it runs and how many wait, that decides alone. An
engine of which nothing is known is given all calls, until there is a sign that some of them wait
in it or are too many for it: without one, holding calls back could only make them slower.
"""

from __future__ import annotations

from dataclasses import dataclass

_FIRST_WINDOW = 16
"""Calls in flight to begin with: that many an engine is given which says nothing of itself."""
_ROUND_ANSWERS = 16
"""Answers whose least delay is looked at: of so many one at least finds no queue by chance, if it
is not there all the time."""
_FEW_ANSWERS = 8
"""Those that must do for a small window, in which they come slowly, and for the first search."""
_QUEUE_RATIO = 0.02
"""Share of the calls in flight that may stand in the engine's queue: it never runs dry, and our
order governs the others."""
_CUT_RATIO = 0.7
"""Of the window after a refusal; gentler than TCP's half, as nothing is lost."""
_LEAST_CUT_RATIO = 0.5
"""Of the window at most given up at a time: the estimate may be wrong."""
_OPEN_QUEUE_RATIO = 0.1
"""The same for an engine whose window is open at first: what delays first tokens may as well be
this process, so it takes more to believe in a queue."""
_OPEN_GROWTH_RATIO = 1.25
"""By which such a window grows: what a mistaken cut costs must not last."""
_SPARE_RATIO = 1 / 4
"""Of the batch, at least one call: what may stand in the queue of an engine that tells of it. So
many may end at about the same time without a seat staying empty until the next ones arrive. It is
doubled, up to the whole batch, when seats are seen empty all the same."""
_SMALL_BATCH = 8
"""Up to which one or two calls in the queue are enough: so few seldom end at the same time."""
_BATCH_MEMORY_RATIO = 0.95
"""Of the largest batch, what is believed of it at the next look: at any moment a seat may be empty,
as its call has just ended; but a batch may also have become smaller as contexts grew."""
_TOLD_S = 10.0
"""How long what the engine said of itself outweighs what is concluded from its answers."""
_MEDIAN_STEP = 1.1
"""By which the estimated median of the prompts' lengths moves with each of them."""
_LEAST_MEDIAN_TOKENS = 64.0
"""Prompts up to this length are short in any case: they are computed in one iteration."""
_PRICED_TOKENS = 256
"""Prompts from this length on tell what a token of a prompt takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an answer tells of the engine."""

    in_flight: int
    """Calls that had a slot of the engine just before the end, this one included."""
    service_s: float
    """From the start of the request to the end of the answer."""
    usual_s: float
    """What calls of the engine take on average."""
    ttft_s: float | None
    """From the start of the request to the first token; None when not known."""
    uncached_tokens: int | None
    """Tokens of the prompt that were computed; None when not known."""
    output_tokens: int | None
    """Tokens of the answer; None when not known."""


class AdaptiveWindow:
    """Calls in flight that an engine takes without queueing them; each event is O(1).

    Args:
        ceiling: Never more than this, at least 1.
        wide: Whether it begins with the ceiling, and is narrowed on evidence only.
    """

    __slots__ = (
        "_answers",
        "_base_s",
        "_batch",
        "_changed_s",
        "_full",
        "_least_s",
        "_median_tokens",
        "_prefill_s",
        "_searching",
        "_spare_ratio",
        "_step",
        "_told_s",
        "_wide",
        "_window",
        "ceiling",
    )

    def __init__(self, ceiling: int, *, wide: bool = False) -> None:
        self.ceiling = ceiling
        self._wide = wide
        self._window = float(ceiling if wide else min(ceiling, _FIRST_WINDOW))
        self._told_s = float("-inf")
        """When the engine last spoke of its queue."""
        self._batch = 0.0
        """Requests that the engine runs when it is full."""
        self._spare_ratio = _SPARE_RATIO
        self._step = 0
        """By how much it grew at the last look; doubled as long as the batch is not found."""
        self._searching = not wide
        """Whether it has never been too large, so that it may double."""
        self._base_s = float("inf")
        """Least time to the first token of a short prompt, as when the engine was not full yet."""
        self._prefill_s = float("inf")
        """Least time by token of a long prompt."""
        self._median_tokens = _LEAST_MEDIAN_TOKENS
        """Length of the prompts, as far as they are computed: the shorter half counts as short."""
        self._changed_s = float("-inf")
        """What was sent before says nothing of the present window."""
        self._answers = self._full = 0
        self._least_s = float("inf")

    @property
    def limit(self) -> int:
        """Calls that may be in flight now, at least 1."""
        return max(1, min(self.ceiling, int(self._window)))

    def answered(self, now: float, answer: Answer) -> None:
        """Take note of an answer, and adapt at the end of a round of them."""
        if now < self._told_s + _TOLD_S:
            return
        if self._is_long(answer.uncached_tokens or 0):
            return
        delay_s = self._delay_s(answer)
        if now - answer.service_s < self._changed_s:
            return
        self._answers += 1
        self._full += answer.in_flight >= self.limit
        self._least_s = min(self._least_s, delay_s)
        enough = _FEW_ANSWERS if self._searching else min(_ROUND_ANSWERS, self.limit)
        if self._answers < max(_FEW_ANSWERS, enough):
            return
        queued_ratio = self._least_s / max(answer.usual_s, 1e-9)
        full = 2 * self._full >= self._answers
        self._begin_round()
        if queued_ratio > (_OPEN_QUEUE_RATIO if self._wide else _QUEUE_RATIO):
            if self.limit == 1:
                self._relearn()
            else:
                self._cut(max(_LEAST_CUT_RATIO, 1 - queued_ratio), now, answer.in_flight)
        elif full and self._window < self.ceiling:  # else nothing was learned: no more was asked
            self._grow(now)

    def told(self, now: float, *, waiting: int, running: int | None, in_flight: int) -> None:
        """Believe what the engine says of its queue.

        Args:
            now: Time in seconds.
            waiting: Requests in the engine's queue, of all its clients.
            running: Requests in its batch, of all its clients; None when it does not say.
            in_flight: Calls that have a slot of ours.
        """
        if running is None:
            if waiting and now >= self._changed_s:
                self._cut(max(_LEAST_CUT_RATIO, 1 - waiting / max(1, in_flight)), now, in_flight)
            return
        self._told_s = now
        self._searching = False
        self._batch = max(float(running), _BATCH_MEMORY_RATIO * self._batch)
        limit = self.limit
        idle = not waiting and running < self._batch - 1 and in_flight >= limit
        if idle and self._batch > _SMALL_BATCH:  # calls take longer to come than was thought
            self._spare_ratio = min(1.0, 2 * self._spare_ratio)
            self._window = min(float(self.ceiling), max(self._window, self._batch + self._spare))
        spare = self._spare
        if waiting > spare:
            # Of a queue that others fill as well, it gives up its own part.
            there = running + waiting  # calls that are on their way are in flight, but not there
            wanted = min(in_flight, there) * (round(self._batch) + spare) / there
            self._window = max(1.0, min(self._window, float(round(wanted))))
        elif not waiting and running >= limit and in_flight >= limit:
            self._step = 2 * self._step or spare
            self._window = min(float(self.ceiling), float(limit + self._step))
            return
        self._step = 0

    @property
    def _spare(self) -> int:
        """Calls that may stand in the queue of an engine that tells of it."""
        return max(1, int(self._spare_ratio * self._batch))

    def refused(self, now: float, *, recovery_s: float, in_flight: int) -> None:
        """Shrink because the engine refused a call, once for all refusals of the same overload.

        Args:
            now: Time in seconds.
            recovery_s: How long refusals that come in still speak of the larger window.
            in_flight: Calls that had a slot.
        """
        if now >= self._changed_s:
            self._cut(_CUT_RATIO, now + recovery_s, in_flight)

    def _is_long(self, tokens: int) -> bool:
        """Return whether a prompt is longer than most, and learn how long most are."""
        median = self._median_tokens
        long = tokens > median
        median = median * _MEDIAN_STEP if long else median / _MEDIAN_STEP
        self._median_tokens = max(_LEAST_MEDIAN_TOKENS, median)
        return long

    def _delay_s(self, answer: Answer) -> float:
        """Return by how much a first token came later than prompt and batch explain; about 0."""
        ttft_s = answer.ttft_s
        if ttft_s is None:
            return 0.0
        self._base_s = min(ttft_s, self._base_s)
        prompt_s = 0.0
        if (tokens := answer.uncached_tokens or 0) >= _PRICED_TOKENS:
            self._prefill_s = min(self._prefill_s, ttft_s / tokens)
            prompt_s = self._prefill_s * tokens
        token_s = (answer.service_s - ttft_s) / max(1, (answer.output_tokens or 2) - 1)
        # A request waits for the iteration under way, and is computed in the next one.
        return ttft_s - self._base_s - max(self._base_s, prompt_s, 2 * token_s)

    def _relearn(self) -> None:
        """Begin anew: a call that is alone waits for no other, so the engine has become slower."""
        self._base_s = self._prefill_s = float("inf")
        self._searching = True

    def _grow(self, now: float) -> None:
        if not self._searching:
            step = max(1.0, (_OPEN_GROWTH_RATIO - 1) * self._window) if self._wide else 1.0
            self._window = min(float(self.ceiling), self._window + step)
            return
        self._window = min(float(self.ceiling), self._window * 2)
        self._changed_s = now  # the next round must be one of the larger window

    def _cut(self, ratio: float, until_s: float, in_flight: int) -> None:
        # An open window says nothing of how many calls were too many.
        used = float(max(1, in_flight)) if self._wide else float("inf")
        self._window = max(1.0, min(self._window, self.ceiling, used) * ratio)
        self._searching = False
        self._changed_s = until_s
        self._begin_round()

    def _begin_round(self) -> None:
        self._answers = self._full = 0
        self._least_s = float("inf")
