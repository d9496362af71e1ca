"""Identity: which program, branch and call site a model call belongs to, with no user code.

Program, first that applies:

1. the innermost `program()` block of the context;
2. a run id that the host gives: `run_id` in the run's metadata (LangGraph's server) or in the
   graph's runtime context;
3. the root run of the callback tree, that is, the graph run;
4. the call itself (a thread started by hand knows no parent).

The branch is the chain of checkpoint namespaces (one per fan-out task and sub-graph); the call site
is the node, prefixed by the agent's or graph's name where there is one. Parents are the calls that
were over when the call's task began, see `langgraph_rsm.identity.lineage`.

A compiler of graphs may stamp a node's metadata with `{"langgraph_parallel":
{"remaining_critical_path": 12.5, "unit": "s"}}`, the expected time of the longest chain of calls
that begins there; the unit `"calls"` counts them instead.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from langgraph_rsm.identity.programs import ProgramScope, current_scope
from langgraph_rsm.identity.run_tree import run_tree

if TYPE_CHECKING:
    from uuid import UUID

    from langgraph_rsm.identity.run_tree import ChatRun

_UNITS_S = {"s": 1.0, "calls": 1.0}
"""Seconds per unit of a remaining path. A compiler that knows no durations counts calls, which are
all the same to it: the order inside of a program, for which the length is used, is that of any
other number."""
_UNNAMED = "LangGraph"
"""What LangGraph calls a compiled graph that was given no name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Where a model call comes from."""

    program_id: str
    run: ChatRun | None = None
    """LangChain's run of the model; None when the model was called around LangChain."""
    tenant: str = "default"
    weight: float = 1.0
    thread_id: str = ""
    """Chain of checkpoint namespaces; empty outside of a graph."""
    call_site: str = ""
    """`name/node`, or the node alone; empty outside of a graph."""
    graph: str = ""
    """Name of the root run; programs with the same one are expected to cost alike. Empty for
    a graph without a name."""
    parents: tuple[str, ...] = ()
    """Ids of the calls whose answers this one may have needed; empty when none was observed."""
    remaining_path_s: float | None = None
    """Expected engine time of the longest chain that begins here; None when nobody stamped it."""
    transient: bool = False
    """Whether nobody will tell when the program ends, so that it must end with this call."""


def identify(run_id: UUID | None = None) -> Identity:
    """Return the identity of the model call that is being made.

    Args:
        run_id: Id of the model's run if it is known; None takes the run of this context.
    """
    run = run_tree.chat_run(run_id)
    scope = current_scope()
    if run is None:
        if scope is None:
            return Identity(program_id=f"call-{uuid.uuid4()}", transient=True)
        return Identity(program_id=scope.program_id, tenant=scope.tenant, weight=scope.weight)
    root, metadata = run.root, run.metadata
    transient = False
    if scope is None:
        program_id = str(_host_run_id(run) or root.program_id)
        transient = not run_tree.claim(root, program_id)
        scope = ProgramScope(program_id=program_id)
    lineage, strand = run.work or (None, None)
    return Identity(
        program_id=scope.program_id,
        run=run,
        tenant=scope.tenant,
        weight=scope.weight,
        thread_id=str(metadata.get("langgraph_checkpoint_ns", "")),
        call_site=_call_site(run),
        graph=root.name if root.name != _UNNAMED else "",
        parents=lineage.parents(strand) if lineage is not None and strand is not None else (),
        remaining_path_s=_remaining_path_s(metadata.get("langgraph_parallel")),
        transient=transient,
    )


def _remaining_path_s(stamp: Any) -> float | None:
    """Return what a compiler stamped on the node; what is not a length is ignored."""
    if not isinstance(stamp, Mapping):
        return None
    value, unit = stamp.get("remaining_critical_path"), stamp.get("unit")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    unit_s = _UNITS_S.get(unit) if isinstance(unit, str) else None
    return value * unit_s if unit_s is not None and 0 <= value < inf else None


def _call_site(run: ChatRun) -> str:
    node = run.metadata.get("langgraph_node", "")
    name = run.metadata.get("lc_agent_name") or (run.root.name if node else "")
    return "/".join(part for part in (name, node) if part and part != _UNNAMED)


def _host_run_id(run: ChatRun) -> Any:
    in_graph = "langgraph_node" in run.metadata
    return run.metadata.get("run_id") or (_runtime_run_id() if in_graph else None)


def _runtime_run_id() -> Any:
    from langgraph.runtime import get_runtime

    try:
        context = getattr(get_runtime(), "context", None)
    except (RuntimeError, KeyError):  # the node handed the call to a context without a run
        return None
    if isinstance(context, Mapping):
        return context.get("run_id")
    return getattr(context, "run_id", None)
