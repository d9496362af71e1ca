"""From DeerFlow's graph to the same graph with a research team that runs steps together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, TypeVar, cast, get_args, get_type_hints

from langchain_core.runnables import Runnable
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from typing_extensions import TypedDict

from langgraph_parallel._compat.builder import (
    clone_builder,
    compile_like,
    hide_channels,
    replace_runnable,
    without_channels,
)
from langgraph_parallel._compat.channels import is_plain_channel
from langgraph_parallel._compat.runnables import traced
from langgraph_parallel.adapters.deerflow.declared import asking
from langgraph_parallel.adapters.deerflow.steps import Merge, Sees, merge_by_url
from langgraph_parallel.adapters.deerflow.team import PROGRESS, Team, join_progress
from langgraph_parallel.config import ParallelConfig
from langgraph_parallel.errors import AnalysisError
from langgraph_parallel.inference.code.callables import functions_of, unwrap_callable
from langgraph_parallel.plan.dependencies import DependencyAnalyzer
from langgraph_parallel.plan.planner import ParallelPlanner

GraphT = TypeVar("GraphT", StateGraph[Any, Any, Any, Any], CompiledStateGraph[Any, Any, Any, Any])
_KEYS: Final = frozenset({"messages", "observations", "current_plan", "plan_iterations"})


def parallelize(
    graph: GraphT,
    *,
    sees: Sees = "dependencies",
    config: ParallelConfig | None = None,
    analyzers: Mapping[str, DependencyAnalyzer] | None = None,
    merge_citations: Merge | None = None,
    team: str = "research_team",
    one_at_a_time: Iterable[str] = ("coder",),
    ask_planner: bool = False,
) -> GraphT:
    """Return DeerFlow's graph with independent steps of a plan side by side.

    Rounds have a barrier: steps start together, and what they make possible starts when all of a
    round have ended. `config.max_concurrency` bounds a round. While DeerFlow is told to ask before
    tools are used (`interrupt_before_tools`), rounds have one step.

    Args:
        graph: DeerFlow's `StateGraph`, or a compiled one; it is not changed.
        sees: Whose findings a step is told.
        config: How plans are analyzed. References are not looked for: DeerFlow's steps are prose.
        analyzers: Strategies that `config.strategies` names beside the built-in ones, as in
            `ParallelPlanner`.
        merge_citations: DeerFlow's own, when it is not found beside its nodes.
        team: The node that hands out steps.
        one_at_a_time: Nodes whose steps run in the plan's order, never two of them together.
            DeerFlow's coder has one Python interpreter a process, whose variables and output all
            its steps share.
        ask_planner: Ask the planner to say which steps need which, as `depends_on` in the steps of
            its JSON. What it says counts as declared; for a plan without it, nothing changes.

    Returns:
        A new graph of the same kind, with every compile and post-compile setting kept.

    Raises:
        AnalysisError: If the graph is not built like DeerFlow 1.x.
        PlanError: If `config.strategies` names a strategy that is not there.
    """
    if sees not in get_args(Sees):
        msg = f"sees={sees!r} is neither 'dependencies' nor 'finished'."
        raise AnalysisError(msg)
    config = (config or ParallelConfig()).model_copy(update={"reference_styles": ()})
    planner = ParallelPlanner(config, analyzers=analyzers)
    compiled = graph if isinstance(graph, CompiledStateGraph) else None
    builder = clone_builder(graph.builder if isinstance(graph, CompiledStateGraph) else graph)
    _rewrite(builder, team, planner, sees, merge_citations, frozenset(one_at_a_time))
    if ask_planner:
        _ask_planner(builder)
    if compiled is None:
        return hide_channels(builder, (PROGRESS,))
    return without_channels(compile_like(builder, compiled), (PROGRESS,))


def _rewrite(
    builder: StateGraph[Any, Any, Any, Any],
    name: str,
    planner: ParallelPlanner,
    sees: Sees,
    merge: Merge | None,
    one_at_a_time: frozenset[str],
) -> None:
    """Put the parallel research team into a private builder."""
    workers = _find_workers(builder, name)
    (branch,) = builder.branches[name].values()
    members = Team(
        name=name,
        original=_runnable(builder, name),
        path=branch.path,
        ends=branch.ends,
        workers=frozenset(workers),
        folding=frozenset(k for k, c in builder.channels.items() if not is_plain_channel(c)),
        planner=planner,
        sees=sees,
        one_at_a_time=one_at_a_time,
        merge=merge or _find_merge(builder, workers) or merge_by_url,
    )
    hints = get_type_hints(builder.state_schema, include_extras=True)
    hints[PROGRESS] = Annotated[dict[str, Any], join_progress]
    schema = TypedDict("ResearchTeamState", hints)  # type: ignore[misc]
    replace_runnable(builder, name, members.commit, input_schema=schema)
    for worker in workers:
        replace_runnable(builder, worker, members.step(traced(_runnable(builder, worker))))
    ends = list(branch.ends.values()) if branch.ends else None
    del builder.branches[name]
    builder.add_conditional_edges(name, members.route, ends)


def _ask_planner(builder: StateGraph[Any, Any, Any, Any]) -> None:
    """Let the planner be asked for dependencies too.

    Raises:
        AnalysisError: If there is no node `planner`.
    """
    if "planner" not in builder.nodes:
        msg = "ask_planner=True needs DeerFlow's node 'planner', which this graph does not have."
        raise AnalysisError(msg)
    original = traced(_runnable(builder, "planner"))
    replace_runnable(builder, "planner", asking(original))


def _find_workers(builder: StateGraph[Any, Any, Any, Any], name: str) -> list[str]:
    """Return the nodes that carry out a step.

    Raises:
        AnalysisError: If this is not DeerFlow's graph.
    """
    nodes = ", ".join(sorted(builder.nodes)) or "(none)"
    missing = sorted(_KEYS - set(builder.channels))
    if name not in builder.nodes or missing:
        what = f"node {name!r}" if name not in builder.nodes else f"state key {missing[0]!r}"
        msg = f"Not a graph of DeerFlow 1.x: it has no {what}; its nodes are {nodes}."
        raise AnalysisError(msg)
    if len(builder.branches.get(name, {})) != 1:
        msg = (
            f"Not a graph of DeerFlow 1.x: {name!r} needs one conditional edge that picks the node"
            f" of the next step, and has {len(builder.branches.get(name, {}))}."
        )
        raise AnalysisError(msg)
    workers = [other for other, spec in builder.nodes.items() if name in (spec.ends or ())]
    (branch,) = builder.branches[name].values()
    workers = [w for w in workers if branch.ends is None or w in branch.ends.values()]
    if not workers:
        msg = (
            f"Not a graph of DeerFlow 1.x: no node that {name!r} leads to says that it goes back"
            f" there (`-> Command[Literal[{name!r}]]`); its nodes are {nodes}."
        )
        raise AnalysisError(msg)
    return workers


def _runnable(builder: StateGraph[Any, Any, Any, Any], name: str) -> Runnable[Any, Any]:
    return cast("Runnable[Any, Any]", builder.nodes[name].runnable)


def _find_merge(builder: StateGraph[Any, Any, Any, Any], workers: list[str]) -> Merge | None:
    """Return the function `merge_citations` that DeerFlow's nodes use, or None."""
    for worker in workers:
        for function in functions_of(builder.nodes[worker].runnable) or ():
            code = unwrap_callable(function)
            found = code and code[0].__globals__.get("merge_citations")
            if callable(found):
                return cast("Merge", found)
    return None
