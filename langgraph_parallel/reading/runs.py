"""From what a run of a graph gives out to who wrote what, and to who failed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel._compat.events import TASK_RESULT as TASK_RESULT
from langgraph_parallel._compat.events import failed_tasks
from langgraph_parallel._compat.events import fold_key as fold_key
from langgraph_parallel._compat.runnables import is_async_only as is_async_only


def stream_run(graph: CompiledStateGraph[Any, Any, Any, Any], given: Any, config: Any) -> list[Any]:
    """Run a graph and return what its `values` and `debug` streams gave out, in order.

    Args:
        graph: The graph; it is run async where one of its nodes can only be run so.
        given: Its input.
        config: The configuration of the run.

    Raises:
        Exception: What a node raises.
    """
    modes: Any = ["values", "debug"]
    if not any(is_async_only(spec.runnable) for spec in graph.builder.nodes.values()):
        return list(graph.stream(given, config, stream_mode=modes))

    async def collect() -> list[Any]:
        return [chunk async for chunk in graph.astream(given, config, stream_mode=modes)]

    # On a thread of its own, so that a test may be a coroutine itself.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, collect()).result()


def writes_of(events: Sequence[Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield node, channel and value of all writes of one superstep, in the order of folding.

    Args:
        events: What the `debug` stream says of the superstep.
    """
    tasks = [event["payload"] for event in events if event["type"] == "task"]
    place = {
        task["id"]: (*fold_key(task["name"], task["triggers"]), index)
        for index, task in enumerate(tasks)
    }
    results = [event["payload"] for event in events if event["type"] == "task_result"]
    for result in sorted(results, key=lambda result: place.get(result["id"], ())):
        for key, value in dict(result["result"]).items():
            several = isinstance(value, dict) and "$writes" in value
            for part in value["$writes"] if several else [value]:
                yield result["name"], key, part


def failed_node(error: BaseException) -> str:
    """Return the node that raised an error; an empty string when it is not known.

    Of nodes inside of sub-graphs, the name is `outer/inner`.
    """
    return "/".join(reversed(failed_tasks(error)))
