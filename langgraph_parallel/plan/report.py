"""From a parallel plan to text, Mermaid and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from langgraph_parallel.plan.graph import TaskGraph, duration_of
from langgraph_parallel.plan.task import Task
from langgraph_parallel.report.mermaid import escape_label

_MOST_LABEL: Final = 60
"""Characters of a task's description in drawings and tables."""


def plan_as_text(plan: TaskGraph) -> str:
    """Return the batches, what each task waits for and why, and the predicted speed-up."""
    lines = [
        f"Plan: {len(plan)} tasks -> {len(plan.batches)} batches,"
        f" predicted speed-up {plan.speedup:.2f}x"
        f" ({plan.work_s:g} s of work, critical path {plan.span_s:g} s)"
    ]
    for number, batch in enumerate(plan.batches, start=1):
        lines.append(f"batch {number}")
        for task in batch:
            lines.append(f"  {label(task)}")
            j = plan.index[task.id]
            for i in plan.predecessors[j]:
                decision = plan.decide(i, j)
                lines.append(
                    f"    after {decision.earlier!r}: {decision.reason}"
                    f" ({decision.source}, {decision.confidence:.0%})"
                )
            lines += _beside(plan, batch, j)
    lines.append("critical path: " + " -> ".join(repr(task.id) for task in plan.critical_path))
    if plan.cost_tokens:
        lines.append(f"analysis: {plan.cost_tokens} tokens")
    lines += [f"note: {note}" for note in plan.notes]
    return "\n".join(lines)


def _beside(plan: TaskGraph, batch: Sequence[Task], j: int) -> list[str]:
    """Return why a task may run beside the one before it in its batch, if that is a guess."""
    earlier = [plan.index[task.id] for task in batch if plan.index[task.id] < j]
    if not earlier:
        return []
    decision = plan.decide(earlier[-1], j)
    if decision.source not in ("heuristic", "llm"):
        return []
    return [
        f"    beside {decision.earlier!r}: {decision.reason}"
        f" ({decision.source}, {decision.confidence:.0%})"
    ]


def label(task: Task) -> str:
    """Return the id of a task and the start of what it does, on one line."""
    what = " ".join((task.description or task.tool or "").split())
    what = what if len(what) <= _MOST_LABEL else what[: _MOST_LABEL - 1] + "…"
    return f"{task.id}: {what}" if what else task.id


def plan_as_mermaid(plan: TaskGraph) -> str:
    """Return the reduced graph; edges that rest on a guess are dotted."""
    lines = ["flowchart TD"]
    lines += [f'  n{i}["{escape_label(label(task))}"]' for i, task in enumerate(plan.tasks)]
    for j, earlier in enumerate(plan.predecessors):
        for i in earlier:
            is_sure = plan.decide(i, j).source in ("declared", "reference")
            lines.append(f"  n{i} {'-->' if is_sure else '-.->'} n{j}")
    return "\n".join(lines)


def plan_as_json(plan: TaskGraph, *, indent: int | None = None) -> str:
    """Return the plan as JSON; values of `inputs` and `metadata` that JSON lacks become text."""
    edges = [
        {
            "earlier": decision.earlier,
            "later": decision.later,
            "source": decision.source,
            "reason": decision.reason,
            "confidence": decision.confidence,
        }
        for j, earlier in enumerate(plan.predecessors)
        for decision in (plan.decide(i, j) for i in earlier)
    ]
    content: dict[str, Any] = {
        "goal": plan.goal,
        "tasks": [_task_as_dict(task) for task in plan.tasks],
        "edges": edges,
        "batches": [[task.id for task in batch] for batch in plan.batches],
        "critical_path": [task.id for task in plan.critical_path],
        "work_s": plan.work_s,
        "span_s": plan.span_s,
        "speedup": plan.speedup,
        "cost_tokens": plan.cost_tokens,
        "notes": list(plan.notes),
    }
    return json.dumps(content, indent=indent, default=str)


def _task_as_dict(task: Task) -> dict[str, Any]:
    fields = task.model_dump(exclude_defaults=True)
    fields["resources"] = sorted(task.resources)
    fields["duration_s"] = duration_of(task)
    return fields
