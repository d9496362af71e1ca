"""From what is started ahead inside of functions to a report on their calls.

grade (app.py:33): calls in a row 1 + 2n -> 2, n turns of the loop in line 34
  line 37  llm.invoke()   all turns of line 34 start together
  line 40  search.run()   starts in line 38, beside what stands between
  line 44  mail.send()    keeps its place: it writes ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """What becomes of one call that reaches the world."""

    text: str
    """The call as it is written, without its arguments."""
    line: int
    starts: Literal["turns", "early", "in place"]
    """`turns`: all turns of a loop start it together. `early`: it starts before the statements in
    front of it have ended. `in place`: where it stands."""
    from_line: int = 0
    """The loop, or the statement in front of which it starts; 0 where it starts in place."""
    chain: int = 0
    """Number of the group that it is in: calls of one group come one after another."""
    reason: str = ""
    """Why it starts in place."""


@dataclass(slots=True)
class BodyRuntime:
    """What was run ahead of a function in this process, counted while it is used."""

    made: int = 0
    """Calls that were made ahead, those under way included."""
    taken: int = 0
    """Of these, calls whose answers were used; the others were made in vain."""
    missed: int = 0
    """Of these, calls for which function or arguments turned out to be others."""
    off: str = ""
    """Why nothing could be started the last time; empty if it could."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyReport:
    """What becomes of the calls of one function, which is a node or is called by one."""

    name: str
    where: str
    """`file:line` of the function."""
    source: str = field(default="", repr=False)
    """Its text, for the drawing in HTML."""
    first_line: int = 1
    calls: tuple[CallReport, ...] = ()
    """In program order."""
    seen: Mapping[int, float] | None = None
    """How often each line called in a recorded run, on average; None when nothing was recorded."""
    runtime: BodyRuntime | None = field(default=None, compare=False)
    """None where nothing is started ahead."""

    @property
    def is_parallel(self) -> bool:
        """Whether any call of it may start before its turn."""
        return any(call.starts != "in place" for call in self.calls)

    @property
    def in_a_row(self) -> tuple[float, float]:
        """How many calls come one after another, as it is written and now.

        In a recorded run; without a recording each loop counts as one turn.
        """
        before = sum(map(self._times, self.calls))
        loops: dict[int, dict[int, int]] = {}
        rows: dict[int, float] = {}
        in_place = 0.0
        for call in self.calls:
            times = self._times(call)
            if call.starts == "in place":
                in_place += times
            elif call.starts == "early":
                rows[call.chain] = rows.get(call.chain, 0.0) + times
            elif times:
                chains = loops.setdefault(call.from_line, {})
                chains[call.chain] = chains.get(call.chain, 0) + 1
        together = sum(max(chains.values()) for chains in loops.values())
        return before, max(in_place + together, max(rows.values(), default=0.0))

    def _times(self, call: CallReport) -> float:
        return 1.0 if self.seen is None else self.seen.get(call.line, 0.0)


def body_lines(node: str, body: BodyReport) -> Iterator[str]:
    """Yield the lines of the text on one function."""
    name = node if body.name == node else f"{node}: {body.name}"
    before, after = body.in_a_row
    counts = f": {before:.4g} calls in a row -> {after:.4g}" if body.seen and before else ""
    yield f"  {name} ({body.where}){counts}"
    for call in body.calls:
        yield f"    line {call.line}  {call.text}: {how(call)}"
    runtime = body.runtime
    if runtime is not None and runtime.made:
        yield f"    calls made ahead so far: {runtime.made}, of use: {runtime.taken}"
    if runtime is not None and runtime.off:
        yield f"    nothing started the last time: {runtime.off}"


def how(call: CallReport) -> str:
    """Return in words when a call starts."""
    if call.starts == "turns":
        return f"all turns of line {call.from_line} start together"
    if call.starts == "early":
        return f"starts in line {call.from_line}, beside what stands between"
    return f"keeps its place: {call.reason}"
