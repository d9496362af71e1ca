"""Puts the parallel run in the place of CrewAI's loop over tasks, for one crew or for all.

`kickoff`, `akickoff`, `kickoff_async`, `replay` and Flows all end in one of two methods of `Crew`,
after planning and before the output is made; these two are replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import functools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, get_args

from langgraph_parallel.adapters.crewai.advice import advise
from langgraph_parallel.adapters.crewai.order import Contexts, Settings, plan_crew
from langgraph_parallel.adapters.crewai.run import CrewRun
from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.effects import ALL, Keys
from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.plan.dependencies import DependencyAnalyzer
from langgraph_parallel.plan.plan import ParallelPlan
from langgraph_parallel.plan.planner import ParallelPlanner

_log = logging.getLogger("langgraph_parallel")
_SEAMS: Final = ("_execute_tasks", "_aexecute_tasks")


def parallelize(
    crew: Any,
    *,
    contexts: Contexts = "exact",
    read_only_tools: Keys | Iterable[str] = (),
    config: ParallelConfig | None = None,
    analyzers: Mapping[str, DependencyAnalyzer] | None = None,
) -> Any:
    """Return a crew of the same tasks and agents whose independent tasks run together.

    Args:
        crew: A `Crew`; it is not changed, but shares its tasks and agents: do not run both at once.
        contexts: `exact` gives tasks without a `context` the outputs of all tasks before them.
            `relaxed` gives them the outputs of the tasks that the analyzers say they wait for.
        read_only_tools: Names of tools that change nothing; `ALL` for every tool. A task with any
            other tool waits for all tasks before it.
        config: `strategies` for `relaxed`, `max_concurrency`, and `unknown_calls`: `independent`
            says that no tool or callback does anything that another task could notice. None means
            the default ones.
        analyzers: As in `ParallelPlanner`.

    Returns:
        A new `Crew`. Its copies, as in `kickoff_for_each`, are parallel too. Where nothing is
        independent, and in crews that cannot be read, tasks run as before; `explain` says why.

    Raises:
        AnalysisError: If `crew` is not a CrewAI crew, or CrewAI is not installed.
        PlanError: If `config.strategies` names a strategy that is not there.
    """
    _check_crew(crew)
    return _install(copy.copy(crew), _settings(contexts, read_only_tools, config, analyzers))


@contextlib.contextmanager
def parallel_crews(
    *,
    contexts: Contexts = "exact",
    read_only_tools: Keys | Iterable[str] = (),
    config: ParallelConfig | None = None,
    analyzers: Mapping[str, DependencyAnalyzer] | None = None,
) -> Iterator[None]:
    """Make every crew of this process parallel as long as the `with` block lasts.

    For crews that are made elsewhere, as in Flows and `@CrewBase` classes. Blocks may be nested;
    the one entered last counts. The arguments are those of `parallelize`.
    """
    from crewai import Crew

    settings = _settings(contexts, read_only_tools, config, analyzers)
    with _lock:
        if not _active:
            for name in _SEAMS:
                _originals[name] = getattr(Crew, name)
                setattr(Crew, name, _for_all(name, _originals[name]))
        _active.append(settings)
    try:
        yield
    finally:
        with _lock:
            _active.remove(settings)
            if not _active:
                for name in _SEAMS:
                    setattr(Crew, name, _originals.pop(name))


def explain(
    crew: Any,
    *,
    contexts: Contexts = "exact",
    read_only_tools: Keys | Iterable[str] = (),
    config: ParallelConfig | None = None,
    analyzers: Mapping[str, DependencyAnalyzer] | None = None,
) -> ParallelPlan:
    """Return which tasks of a crew wait for which, and why; the arguments are `parallelize`'s.

    The notes name each change of the crew or of the arguments that would free tasks, with the
    speed-up that it makes possible.

    Raises:
        AnalysisError: If `crew` is not a CrewAI crew, or CrewAI is not installed.
        PlanError: If `config.strategies` names a strategy that is not there.
    """
    _check_crew(crew)
    settings = _settings(contexts, read_only_tools, config, analyzers)
    plan = plan_crew(crew, settings)
    return dataclasses.replace(plan, notes=(*plan.notes, *advise(crew, settings, plan)))


_lock = threading.Lock()
_active: list[Settings] = []
_originals: dict[str, Callable[..., Any]] = {}


def _settings(
    contexts: Contexts,
    read_only_tools: Keys | Iterable[str],
    config: ParallelConfig | None,
    analyzers: Mapping[str, DependencyAnalyzer] | None,
) -> Settings:
    if contexts not in get_args(Contexts):
        msg = f"contexts={contexts!r} is neither 'exact' nor 'relaxed'."
        raise AnalysisError(msg)
    config = config or ParallelConfig()
    ParallelPlanner(config, analyzers=analyzers)  # a wrong strategy is told now, not in kickoff
    return Settings(
        contexts=contexts,
        read_only_tools=ALL if read_only_tools is ALL else frozenset(read_only_tools),
        config=config,
        analyzers=dict(analyzers or {}),
    )


def _check_crew(crew: Any) -> None:
    """Raise `AnalysisError` if this is not a crew whose run can be replaced."""
    try:
        from crewai import Crew
    except ImportError as error:
        msg = "CrewAI is not installed here; `pip install 'langgraph-accel[crewai]'`."
        raise AnalysisError(msg) from error
    if not isinstance(crew, Crew) or not all(hasattr(crew, name) for name in _SEAMS):
        msg = f"parallelize() takes a CrewAI Crew (1.15 or newer), not {type(crew).__name__}."
        raise AnalysisError(msg)


def _install(crew: Any, settings: Settings) -> Any:
    """Make one crew parallel, with the copies that will be made of it; return it."""
    cls = type(crew)

    def copied() -> Any:
        return _install(cls.copy(crew), settings)

    parts = {
        "_execute_tasks": functools.partial(
            _execute, settings, functools.partial(cls._execute_tasks, crew), crew
        ),
        "_aexecute_tasks": functools.partial(
            _aexecute, settings, functools.partial(cls._aexecute_tasks, crew), crew
        ),
        "copy": copied,
    }
    for name, part in parts.items():
        object.__setattr__(crew, name, part)  # pydantic takes no attributes that are not fields
    return crew


def _for_all(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method that stands in `Crew` while a `parallel_crews` block lasts."""
    execute = _aexecute if name.startswith("_a") else _execute

    @functools.wraps(original)
    def method(crew: Any, *args: Any, **kwargs: Any) -> Any:
        return execute(_active[-1], functools.partial(original, crew), crew, *args, **kwargs)

    return method


def _execute(
    settings: Settings,
    original: Callable[..., Any],
    crew: Any,
    tasks: list[Any],
    start_index: int | None = 0,
    was_replayed: bool = False,
) -> Any:
    """Do what `Crew._execute_tasks` does, in parallel where something is independent."""
    plan = _plan(crew, settings) if tasks is crew.tasks else None
    if plan is None:
        return original(tasks, start_index, was_replayed)
    return _run(crew, plan, settings, start_index, was_replayed).run()


async def _aexecute(
    settings: Settings,
    original: Callable[..., Any],
    crew: Any,
    tasks: list[Any],
    start_index: int | None = 0,
    was_replayed: bool = False,
) -> Any:
    """Do what `Crew._aexecute_tasks` does, in parallel where something is independent."""
    plan = await asyncio.to_thread(_plan, crew, settings) if tasks is crew.tasks else None
    if plan is None:
        return await original(tasks, start_index, was_replayed)
    return await _run(crew, plan, settings, start_index, was_replayed).arun()


def _run(
    crew: Any, plan: ParallelPlan, settings: Settings, start_index: int | None, was_replayed: bool
) -> CrewRun:
    return CrewRun(
        crew,
        plan,
        start_index=start_index or 0,
        was_replayed=was_replayed,
        max_concurrency=settings.config.max_concurrency,
    )


def _plan(crew: Any, settings: Settings) -> ParallelPlan | None:
    """Return the plan of a crew; None when its own loop does as well."""
    try:
        plan = plan_crew(crew, settings)
    except Exception as error:
        # Slower is better than no answer.
        _log.warning("A crew stays in order: %s while it was analyzed", type(error).__name__)
        return None
    return plan if len(plan.batches) < len(plan) else None
