"""Check in your own tests that `parallelize` does not change what your graph answers.

Both graphs are run on the same inputs, the parallel one also with one node at a time and with nodes
held up so that they end in other orders, and everything that a run shows is compared.

What runs leave behind in globals, caches and objects is hidden by a run that comes first: the next
one reads the right value too early. So each run is made by an interpreter that has run nothing,
where it can find the graph, and otherwise in this process with the parallel form going first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from langgraph_parallel.equivalence.forms import (
    Case,
    Graph,
    Run,
    Schedule,
    make_run,
    original,
    rewritten,
    schedules_of,
)
from langgraph_parallel.equivalence.fresh import NoFreshRunsError, make_fresh_runs
from langgraph_parallel.equivalence.interpreter import Request, started_for
from langgraph_parallel.equivalence.origin import (
    Origin,
    load,
    origin_of,
    path_of_function,
    path_of_object,
    shapes_of,
)
from langgraph_parallel.equivalence.outcome import (
    EffectsLog,
    Facts,
    Outcome,
    Trial,
    difference,
)
from langgraph_parallel.errors import AnalysisError, EquivalenceError

_FRESH: Final = "each run by an interpreter that had run nothing before"
_REMEDY: Final = (
    "If a node uses what an earlier one leaves outside of the state (a global, an attribute, a "
    "cache), pass it through the state, or declare external='write' for both with `@effects`, "
    "beside what they read and write."
)
_LIMITS: Final = (
    "What earlier runs leave in globals, caches and objects can hide a difference here, or make "
    "one; name the graph as 'package.module:graph', or pass a global function that makes it."
)
_UNSTEADY: Final = (
    "The original, run once more, differs from itself: it keeps something between runs, or is "
    "random, so that runs in one process cannot be compared. Name the graph as "
    "'package.module:graph', or pass a global function that makes it.\n"
)


class Compared(int):
    """How many ways of running the parallel form were compared, over all inputs; and how."""

    how: str
    """Whether each run had a fresh interpreter; if not, in which order they were, and why."""
    output: str
    """What runs in fresh interpreters printed."""

    def __new__(cls, count: int, *, how: str, output: str = "") -> Compared:
        """Return a count that says what it is a count of."""
        self = super().__new__(cls, count)
        self.how, self.output = how, output
        return self


def assert_equivalent(
    graph: Graph | str | Callable[[], Graph],
    inputs: Iterable[Any],
    *,
    mode: Literal["fanout", "exact"] = "fanout",
    schedules: int = 2,
    effects_log: EffectsLog | str | None = None,
    resume: Sequence[Any] | None = None,
    isolate: Literal["auto", "always", "never"] = "auto",
    timeout_s: float = 60.0,
    **options: Any,
) -> Compared:
    """Run a graph and its parallel form on the same inputs and compare what comes out.

    Compared are the final state, the updates of every channel in the order in which they were
    folded, the interrupts, the error of a run that fails, and what `effects_log` saw. Values are
    compared with `==`, messages without their generated ids. Where nodes run together and several
    of them would fail, any of their errors will do, as LangGraph raises the first to come.

    A graph that is a global of a module, or is made by a function of one, is run by interpreters
    that import it afresh, if its module's globals are here what they are there (a test may have
    put a model of its own into it) and the original answers the same here. Any other is run in
    this process, the parallel form first, then the original, then the parallel form again. What
    an earlier run in this process has left can then hide a difference, or make one.

    Args:
        graph: A graph whose nodes can be run repeatedly, a function without arguments that
            returns one, or the name of either as `"package.module:name"`. Each run gets a copy of
            its input, and a graph of its own from a function. A checkpointer is not used: a run
            that is resumed gets one in memory.
        inputs: Inputs as given to `invoke`.
        mode: The mode of `parallelize`.
        schedules: How many runs with delays each input gets (>= 0).
        effects_log: What nodes do outside of the state: a list that they append to, which is
            emptied before each run, or a function that returns what was done since it was last
            called; or the name of either. Its order counts.
        resume: Answers to interrupts, in order; a run that pauses is resumed with them. None, the
            default, means that runs are not saved, and so cannot pause.
        isolate: Whether runs get fresh interpreters: where possible, always, or never.
        timeout_s: How long a run, or the import, may take in a fresh interpreter (> 0).
        **options: Further arguments of `parallelize`.

    Returns:
        How many ways of running the parallel form were compared; `.how` says under which
        conditions, `.output` what was printed by fresh interpreters.

    Raises:
        EquivalenceError: If anything differs, or a run does not end; the message shows both.
        AnalysisError: If `graph` is no graph and leads to none, or if `isolate="always"` and runs
            cannot be made by fresh interpreters; the message says why.
    """
    if path := started_for():
        msg = f"assert_equivalent was called while {path} was imported or run; call it in a test."
        raise AnalysisError(msg)
    origin = origin_of(graph)
    case = Case(
        inputs=tuple(inputs), mode=mode, options=options, schedules=schedules, resume=resume
    )
    if isolate == "never":
        return _compare_here(origin, case, effects_log, "isolate='never'")
    try:
        return _compare_fresh(origin, case, effects_log, timeout_s)
    except NoFreshRunsError as reason:
        if isolate == "always":
            msg = f"Fresh interpreters cannot run this graph: {reason}."
            raise AnalysisError(msg) from reason
        return _compare_here(origin, case, effects_log, str(reason))


# -- in fresh interpreters -----------------------------------------------------------------------


def _compare_fresh(
    origin: Origin, case: Case, log: EffectsLog | str | None, timeout_s: float
) -> Compared:
    if not origin.path:
        msg = (
            "the graph is no global of a module that can be imported, nor made by a function of one"
        )
        raise NoFreshRunsError(msg)
    request = Request(
        path=origin.path,
        case=case,
        log=_path_of_log(log),
        shapes={} if origin.is_named else shapes_of(origin.make(), origin.path),
        timeout_s=timeout_s,
    )
    runs = make_fresh_runs(request)
    notes = f"Printed by the runs:\n{runs.output}\n" if runs.output else ""
    plain = [run for run in runs.outcomes if run.schedule is None]
    for run, found in runs.outcomes.items():
        expected = runs.outcomes[replace(run, schedule=None)]
        if expected.lost:
            msg = (
                f"On input {case.inputs[run.given]!r} the original graph's run did not end: "
                f"{expected.lost}. Is `timeout_s` too short? {notes}"
            )
            raise EquivalenceError(msg)
        _check(expected, found, runs.facts, case.inputs[run.given], how=_FRESH, notes=notes)
    if not origin.is_named:
        here = {run: runs.outcomes[run] for run in plain}
        _check_world(origin, case, _trial(case, log), here, runs.facts)
    return Compared(len(runs.outcomes) - len(plain), how=_FRESH, output=runs.output)


def _path_of_log(log: EffectsLog | str | None) -> str:
    if log is None or isinstance(log, str):
        return log or ""
    path = path_of_object(log) or path_of_function(log)
    if not path:
        msg = "effects_log is no global of a module that can be imported"
        raise NoFreshRunsError(msg)
    return path


def _check_world(
    origin: Origin, case: Case, trial: Trial, fresh: dict[Run, Outcome], facts: Facts
) -> None:
    """See that the graph that was imported afresh answers like the one that was given.

    An original that changes its answer from run to run in this process only shows that it keeps
    something, which is no reason to think that it is another one, unless one of them fails.

    Raises:
        EquivalenceError: If it is another one, and the one that was given differs in its forms.
        NoFreshRunsError: If it is another one.
    """
    for run, expected in fresh.items():
        # The parallel form first, as there is no second chance to see it so.
        parallel, own_facts = rewritten(origin.make(), case)
        found = make_run(parallel, replace(run, schedule=Schedule()), case, trial, own_facts)
        here = make_run(original(origin.make()), run, case, trial, facts)
        if not difference(expected, here, facts):
            continue
        again = make_run(original(origin.make()), run, case, trial, facts)
        fails = bool(expected.error) != bool(here.error)
        if fails or not difference(here, again, facts):
            why = f"the original graph answers otherwise when {origin.path} is imported afresh"
            how = f"in this process, the parallel form first; no fresh interpreters: {why}"
            _check(here, found, own_facts, case.inputs[run.given], how=how, notes="")
            raise NoFreshRunsError(why)


# -- in this process -----------------------------------------------------------------------------


def _compare_here(origin: Origin, case: Case, log: EffectsLog | str | None, why: str) -> Compared:
    trial = _trial(case, log)
    graph = origin.make()
    parallel, facts = rewritten(graph, case)
    before = original(graph)
    compared = 0

    def run_form(given: int, schedule: Schedule | None) -> Outcome:
        form = before if schedule is None else parallel
        if origin.makes_fresh:
            made = origin.make()
            form = original(made) if schedule is None else rewritten(made, case)[0]
        return make_run(form, Run(given=given, schedule=schedule), case, trial, facts)

    def check(given: int, expected: Outcome, found: Outcome, order: str) -> None:
        how = f"in this process, {order}; no fresh interpreters: {why}"
        if difference(expected, found, facts):
            unsteady = difference(expected, run_form(given, None), facts)
            notes = _UNSTEADY if unsteady else ""
            _check(expected, found, facts, case.inputs[given], how=how, notes=notes)

    for given in range(len(case.inputs)):
        plain, *others = schedules_of(case, facts)
        first = run_form(given, plain)
        expected = run_form(given, None)
        check(given, expected, first, "the parallel form first")
        for schedule in (plain, *others):
            check(given, expected, run_form(given, schedule), "the original first")
        compared += 1 + len(others)
    how = f"in this process, in both orders; no fresh interpreters: {why}. {_LIMITS}"
    return Compared(compared, how=how)


def _trial(case: Case, log: EffectsLog | str | None) -> Trial:
    found: EffectsLog | None = load(log) if isinstance(log, str) else log
    return Trial(resume=case.resume, log=found)


def _check(
    expected: Outcome, found: Outcome, facts: Facts, given: Any, *, how: str, notes: str
) -> None:
    """Raise an error if two outcomes differ."""
    if what := difference(expected, found, facts):
        msg = (
            f"On input {given!r} {what}; the original graph gave\n  {expected}\n"
            f"and the parallel one\n  {found}\nCompared {how}.\n{notes}{_REMEDY}\n\n{facts.text}"
        )
        raise EquivalenceError(msg)
