"""From a report to plain dictionaries, lists, strings and numbers, for JSON and for programs.

schema      2; grows when a key changes its meaning or goes
is_parallel whether anything was rewritten
unit        `s` or `calls`: the unit of every predicted number below
work, span, speedup     of a run of the whole graph, before and after
measured    null, or {work_s, span_s, speedup}, from the recorded seconds of each node
regions     [{host, nodes, exit, levels: [[node]], waits_for: {node: [node]}, costs: {node: number},
            work, span}], host empty or the node whose sub-graph the region stands in
effects     {node: {reads, writes, mutates, goto: [key] or "ALL"; external, control, folds,
            resources: [name]; looks_at, changes: [place]; certain; evidence: [{what, where}]}}
pairs       [{earlier, later, rule, keys, strict, together, reason}], rule null when independent
pair_count  how many pairs there are; `pairs` may hold fewer
blockers    [{kind, nodes, cause, declaration, remedy, saves, unit, speedup}], the best first
refusals    [{rule, nodes, reason, remedy}]
bodies      {node: [{name, where, calls: [{text, line, starts, from_line, chain, reason}],
            runtime: null or {made, taken, missed, off}}]}, with `inside`: when each call of a
            function starts, and what was run ahead so far; empty without
mermaid     {before, after}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any, Final

from langgraph_parallel.effects import ALL, Effects, Keys
from langgraph_parallel.locations import ordered_places
from langgraph_parallel.report.blockers import find_blockers
from langgraph_parallel.report.bodies import BodyReport
from langgraph_parallel.report.model import GraphReport
from langgraph_parallel.report.region import Pair, RegionReport

SCHEMA: Final = 2
"""Version of the form."""


def as_dict(report: GraphReport, *, max_pairs: int | None) -> dict[str, Any]:
    """Return a report as plain values; the keys are those of the table at the top.

    Args:
        report: The report.
        max_pairs: How many pairs to spell out (>= 0); None means all n(n-1)/2 of each region.
    """
    return {
        "schema": SCHEMA,
        "is_parallel": report.is_parallel,
        "unit": report.unit,
        "work": report.work,
        "span": report.span,
        "speedup": report.speedup,
        "measured": _measured(report),
        "regions": [_region(part) for part in report.regions],
        "effects": {name: _effects(found) for name, found in report.effects.items()},
        "pairs": [_pair(pair) for pair in islice(_pairs(report), max_pairs)],
        "pair_count": sum(part.pair_count for part in report.regions),
        "blockers": [{**asdict(b), "nodes": list(b.nodes)} for b in find_blockers(report)],
        "refusals": [{**asdict(r), "nodes": list(r.nodes)} for r in report.refusals],
        "bodies": {n: [_body(body) for body in found] for n, found in report.bodies.items()},
        "mermaid": {"before": report.before, "after": report.after},
    }


def _body(body: BodyReport) -> dict[str, Any]:
    calls = [asdict(call) for call in body.calls]
    runtime = None if body.runtime is None else asdict(body.runtime)
    return {"name": body.name, "where": body.where, "calls": calls, "runtime": runtime}


def _measured(report: GraphReport) -> dict[str, float] | None:
    if report.measured_speedup is None:
        return None
    return {
        "work_s": report.timeline.before(report.recorded.by_node),
        "span_s": report.timeline.after(report.recorded.by_node),
        "speedup": report.measured_speedup,
    }


def _region(part: RegionReport) -> dict[str, Any]:
    nodes = part.region.nodes
    return {
        "host": part.host,
        "nodes": list(nodes),
        "exit": part.region.exit,
        "levels": [list(level) for level in part.levels],
        "waits_for": {
            name: [nodes[p] for p in before]
            for name, before in zip(nodes, part.schedule.predecessors, strict=True)
        },
        "costs": {name: part.costs[name] for name in nodes},
        "work": part.work,
        "span": part.span,
    }


def _effects(found: Effects) -> dict[str, Any]:
    return {
        **{name: _keys(getattr(found, name)) for name in ("reads", "writes", "mutates", "goto")},
        **{
            name: sorted(getattr(found, name))
            for name in ("external", "control", "folds", "resources")
        },
        **{
            name: sorted(map(str, ordered_places(getattr(found, name))))
            for name in ("looks_at", "changes")
        },
        "certain": found.certain,
        "evidence": [{"what": e.what, "where": e.where} for e in found.evidence],
    }


def _keys(keys: Keys) -> list[str] | str:
    return "ALL" if keys is ALL else sorted(keys)


def _pairs(report: GraphReport) -> Iterator[Pair]:
    for part in report.regions:
        yield from part.pairs()


def _pair(pair: Pair) -> dict[str, Any]:
    held = pair.constraint
    return {
        "earlier": pair.earlier,
        "later": pair.later,
        "rule": None if held is None else held.rule.value,
        "keys": [] if held is None else list(held.keys),
        "strict": held is not None and held.strict,
        "together": pair.together,
        "reason": pair.reason,
    }
