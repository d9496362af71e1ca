"""Run a plan through the graph of a DeerFlow 1 checkout: its order of steps, and ours.

    python tests/deerflow_checkout.py PATH      # holds DeerFlow's `src/`, packages installed

DeerFlow's own builder, state, reducers, plan classes and routing are used; the nodes that talk to
models are replaced, so that no key and no network is needed. Prints the steps in the order in which
they began, and fails where the two graphs end in another state.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from langgraph.graph import StateGraph
from langgraph.types import Command

from langgraph_parallel.adapters import deerflow

WORKERS = ("researcher", "analyst", "coder")
STEPS = (
    ("Research the price of Snowflake", "research"),
    ("Research the price of Databricks", "research"),
    ("Compare the two prices", "processing"),
)


def build(source: Path) -> tuple[StateGraph[Any], Any]:
    """Return DeerFlow's graph, as its own module builds it, and its class of plans."""
    sys.path.insert(0, str(source))
    builder = importlib.import_module("src.graph.builder")
    plans = importlib.import_module("src.prompts.planner_model")
    make = getattr(builder, "_build_base_graph", None) or builder.build_base_graph
    return make(), plans


def rehearse(graph: StateGraph[Any], began: list[str]) -> StateGraph[Any]:
    """Replace the nodes that ask models: workers fill in the first open step."""

    def worker(name: str) -> Any:
        async def carry_out(state: Mapping[str, Any]) -> Command[Literal["research_team"]]:
            step = next(s for s in state["current_plan"].steps if not s.execution_res)
            began.append(step.title)
            await asyncio.sleep(0)
            step.execution_res = f"found {step.title}"
            seen = [*state.get("observations", []), step.execution_res]
            return Command(update={"observations": seen}, goto="research_team")

        carry_out.__name__ = name
        return carry_out

    def start(state: Mapping[str, Any]) -> Command[Literal["research_team"]]:
        del state
        return Command(goto="research_team")

    def end(state: Mapping[str, Any]) -> dict[str, Any]:
        return {"final_report": "\n".join(state.get("observations", []))}

    def planner(state: Mapping[str, Any]) -> Command[Literal["reporter"]]:
        del state
        return Command(goto="reporter")

    stand_ins = {"coordinator": start, "planner": planner, "reporter": end}
    stand_ins |= {name: worker(name) for name in WORKERS}
    made: StateGraph[Any] = StateGraph(graph.state_schema)
    for name, spec in graph.nodes.items():
        made.add_node(name, stand_ins.get(name, spec.runnable))
    made.edges |= graph.edges
    made.branches.update(graph.branches)
    return made


def run(source: Path) -> int:
    graph, plans = build(source)
    kinds = {kind.value: kind for kind in plans.StepType}
    steps = [
        plans.Step(need_search=True, title=title, description=title, step_type=kinds[kind])
        for title, kind in STEPS
    ]
    finals, orders = [], []
    for change in (lambda plain: plain, deerflow.parallelize):
        began: list[str] = []
        plan = plans.Plan(
            locale="en-US",
            has_enough_context=False,
            thought="",
            title="prices",
            steps=[step.model_copy() for step in steps],
        )
        compiled = change(rehearse(graph, began)).compile()
        given = {"messages": [("user", "prices")], "current_plan": plan, "plan_iterations": 1}
        final = asyncio.run(compiled.ainvoke(given))
        finals.append((final["final_report"], final["observations"]))
        orders.append(began)
    print("as it is:", *orders[0], sep="\n  ")
    print("with steps together:", *orders[1], sep="\n  ")
    print("same report and observations:", "yes" if finals[0] == finals[1] else "NO")
    return 0 if finals[0] == finals[1] else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, help="the folder that holds DeerFlow's `src/`")
    return run(parser.parse_args().checkout)


if __name__ == "__main__":
    sys.exit(main())
