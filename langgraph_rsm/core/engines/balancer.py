"""Load balancers: for which engines a call waits, and which one serves it.

By default a call waits for all its engines, and the first free slot takes it: nothing has to be
guessed. A balancer that cares where a program's context is cached may *bind* a call to one engine
when it arrives; whether an idle engine may take such a call over is for the balancer to say, too.
"""

from __future__ import annotations

import hashlib
import random
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langgraph_rsm.config import BalancerName
from langgraph_rsm.core.engines.load import EngineLoad

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langgraph_rsm.config import SchedulerConfig
    from langgraph_rsm.core.call import Call
    from langgraph_rsm.core.programs.program import Program

__all__ = (
    "Autellix",
    "Balancer",
    "Cost",
    "EngineLoad",
    "LeastUsed",
    "PowerOfTwo",
    "Prefix",
    "RoundRobin",
    "create_balancer",
)

_SHORT_TOKENS = 2048
"""Prompts up to this length go anywhere: Autellix (arXiv 2502.13965, section 4.3) found that such
prompts are cached in any engine to three quarters, being mostly a shared system prompt."""
_KNOWN_PREFIXES = 4096
"""Shared prefixes remembered."""
_BALANCE_RATIO = 1.25
"""Of its fair share, up to which an engine is given the calls of its prefixes."""


class Balancer:
    """Choice of an engine; by itself the least used one (by slots) that has room."""

    def bind(
        self,
        call: Call,  # noqa: ARG002
        program: Program,  # noqa: ARG002
        engines: Sequence[EngineLoad],
    ) -> Sequence[EngineLoad]:
        """Return those of `engines` that a call waits for, never none; all by default.

        Args:
            call: An arriving call.
            program: Its program's entry, the arrival counted; to be read only.
            engines: The call's engines that can be counted on, in its order; never empty.
        """
        return engines

    def choose(
        self,
        call: Call,  # noqa: ARG002
        program: Program,  # noqa: ARG002
        engines: Sequence[EngineLoad],
    ) -> EngineLoad:
        """Return one of `engines` for a call that is about to start.

        Args:
            call: The call that got its turn.
            program: Its program's entry; to be read only.
            engines: Those it waited for that have room; all its engines for a call that may not
                wait. Never empty.
        """
        return least_used(engines)

    def may_move(
        self,
        call: Call,  # noqa: ARG002
        program: Program,  # noqa: ARG002
        home: EngineLoad,  # noqa: ARG002
    ) -> bool:
        """Return whether an idle engine may take over a call that is bound to `home`."""
        return True


class LeastUsed(Balancer):
    """Choose the engine with the smallest share of its slots in use; ties by registration."""


class RoundRobin(Balancer):
    """Choose the engine after the one chosen last, in order of registration."""

    def __init__(self) -> None:
        self._last = -1

    def choose(
        self,
        call: Call,  # noqa: ARG002
        program: Program,  # noqa: ARG002
        engines: Sequence[EngineLoad],
    ) -> EngineLoad:
        """Return the next engine in turn; O(engines)."""
        last = self._last
        chosen = min(engines, key=lambda engine: (engine.index <= last, engine.index))
        self._last = chosen.index
        return chosen


class PowerOfTwo(Balancer):
    """Choose the less used of two engines drawn by chance (Mitzenmacher, 2001).

    Args:
        seed: Of the draws, so that a run can be repeated.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def choose(
        self,
        call: Call,  # noqa: ARG002
        program: Program,  # noqa: ARG002
        engines: Sequence[EngineLoad],
    ) -> EngineLoad:
        """Return the less used of two."""
        return least_used(self._random.sample(engines, min(2, len(engines))))


class Autellix(Balancer):
    """Bind calls with long prompts to the engine that served their program; others go anywhere."""

    def bind(
        self, call: Call, program: Program, engines: Sequence[EngineLoad]
    ) -> Sequence[EngineLoad]:
        """Return the program's engine alone for a prompt above 2048 tokens."""
        if call.prompt_tokens <= _SHORT_TOKENS:
            return engines
        return home_of(program, engines) or engines

    def may_move(self, call: Call, program: Program, home: EngineLoad) -> bool:  # noqa: ARG002
        """Return False: the paper knows no migration."""
        return False


class Prefix(Balancer):
    """Bind calls that share a prefix to the same engine, or the next ones when it has too many.

    Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, 2016): no engine gets
    much more than its share, however common one prefix is.
    """

    def bind(
        self, call: Call, program: Program, engines: Sequence[EngineLoad]
    ) -> Sequence[EngineLoad]:
        """Return the first engine, in the order that the prefix hashes to, with not too many."""
        key = call.prefix_id or program.program_id
        slots = sum(engine.seats for engine in engines)
        calls = sum(len(engine.in_flight) + engine.bound for engine in engines)
        share = _BALANCE_RATIO * (calls + 1) / max(1, slots)
        full = 1.0 if calls < slots else share  # nobody waits while there are free slots
        fitting = [
            engine
            for engine in engines
            if len(engine.in_flight) + engine.bound < min(share, full) * engine.seats
        ]
        if home := home_of(program, fitting):  # it has the program's own context as well
            return home
        # Rendezvous hashing: an engine that comes or goes moves only its own share of the keys.
        return [max(fitting or engines, key=lambda engine: _digest(key, engine.engine_id))]

    def may_move(self, call: Call, program: Program, home: EngineLoad) -> bool:  # noqa: ARG002
        """Return whether the queue at home is longer than a call takes."""
        return home.delay_s > home.service_s


@dataclass(slots=True)
class SharedPrefix:
    """What is known of a prefix that calls of several programs share."""

    calls: int = 0
    engine_ids: set[str] = field(default_factory=set)
    """Engines that have computed it."""


class Cost(Balancer):
    """Serve each call where it costs least: its wait, what the batch slows it by, its prompt.

    A context that an engine does not hold is computed there before all that is under way goes on,
    so it costs the more the more calls that engine has in flight. A program thus stays with its
    engine, and the longer its context, the more another must promise to get it.

    Args:
        prefill_s: Seconds that an engine takes for one prompt token, above 0.
    """

    def __init__(self, prefill_s: float = 0.0002) -> None:
        self._prefill_s = prefill_s
        self._prefixes: OrderedDict[str, SharedPrefix] = OrderedDict()

    def bind(
        self, call: Call, program: Program, engines: Sequence[EngineLoad]
    ) -> Sequence[EngineLoad]:
        """Return the program's engine alone, unless another one costs less."""
        home = home_of(program, engines)
        return home if home and self._cheapest(call, program, engines) is home[0] else engines

    def choose(self, call: Call, program: Program, engines: Sequence[EngineLoad]) -> EngineLoad:
        """Return the engine that costs least."""
        chosen = self._cheapest(call, program, engines)
        if call.prefix_id:
            known = self._prefixes.setdefault(call.prefix_id, SharedPrefix())
            known.calls += 1
            known.engine_ids.add(chosen.engine_id)
            self._prefixes.move_to_end(call.prefix_id)
            if len(self._prefixes) > _KNOWN_PREFIXES:
                self._prefixes.popitem(last=False)
        return chosen

    def may_move(self, call: Call, program: Program, home: EngineLoad) -> bool:
        """Return whether waiting costs more than computing the context in an engine as busy."""
        return home.delay_s > self._reload_s(call, program, home)

    def _cheapest(self, call: Call, program: Program, engines: Sequence[EngineLoad]) -> EngineLoad:
        # One duration for all: an engine that has had long calls by chance is no slower for it.
        service_s = sum([engine.service_s for engine in engines]) / len(engines)

        def cost(engine: EngineLoad) -> tuple[float, bool, int]:
            # A full batch makes a call about half as long again, and each of the others as well.
            cost_s = engine.delay_s + engine.utilization_ratio * service_s
            if engine.engine_id != program.home:
                cost_s += self._reload_s(call, program, engine) + self._prefix_s(call, engine)
            return cost_s, engine.engine_id != program.home, engine.index

        return min(engines, key=cost)

    def _reload_s(self, call: Call, program: Program, engine: EngineLoad) -> float:
        """Return what computing a program's own context costs all calls of an engine together."""
        tokens = (call.prompt_tokens or program.context_tokens) - call.prefix_tokens
        return max(1, tokens) * self._prefill_s * (1 + len(engine.in_flight))

    def _prefix_s(self, call: Call, engine: EngineLoad) -> float:
        """Return a call's part in computing a shared prefix, which pays for all that follow."""
        known = self._prefixes.get(call.prefix_id)
        if known is None or engine.engine_id in known.engine_ids:
            return 0.0  # if nobody has it, it costs the same everywhere
        # Computed once more, it serves as many calls again as it has served so far.
        return call.prefix_tokens * self._prefill_s / (1 + known.calls)


def least_used(engines: Sequence[EngineLoad]) -> EngineLoad:
    """Return the engine with the smallest share of its slots in use; O(engines)."""
    return min(engines, key=lambda engine: (engine.utilization_ratio, engine.index))


def home_of(program: Program, engines: Sequence[EngineLoad]) -> list[EngineLoad]:
    """Return the engine that served the program's latest call; empty if it is not among these."""
    return [engine for engine in engines if engine.engine_id == program.home]


def create_balancer(config: SchedulerConfig) -> Balancer:
    """Make the balancer that `config.balancer` names."""
    return _MAKERS[config.balancer](config)


def _digest(key: str, engine_id: str) -> bytes:
    # Not `hash`: that differs from process to process, and the caches outlive a process.
    return hashlib.blake2b(f"{key}\0{engine_id}".encode(), digest_size=8).digest()


_MAKERS: Mapping[BalancerName, Callable[[SchedulerConfig], Balancer]] = {
    BalancerName.AUTELLIX: lambda _: Autellix(),
    BalancerName.COST: lambda config: Cost(config.service.prefill_s),
    BalancerName.LEAST_USED: lambda _: LeastUsed(),
    BalancerName.POWER_OF_TWO: lambda config: PowerOfTwo(config.seed),
    BalancerName.PREFIX: lambda _: Prefix(),
    BalancerName.ROUND_ROBIN: lambda _: RoundRobin(),
}
