"""Everything that a user of a graph can observe, without ids and clocks, to compare two graphs."""

import re
from typing import Any

from langchain_core.messages import BaseMessage

from langgraph_parallel.effects import METADATA_KEY

MODES = ["values", "updates", "tasks", "checkpoints", "debug", "custom", "messages"]
_CLOCKS = {
    *("timestamp", "created_at", "ts", "id", "interrupt_id", "run_id", "checkpoint_id"),
    *("checkpoint_map", METADATA_KEY),
}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22,}|[0-9a-f]{32}|0x[0-9a-f]+")


def bare(value: Any) -> Any:
    """Return what an observation says, without ids and clocks."""
    if isinstance(value, BaseMessage):
        return type(value).__name__, bare(value.model_dump(exclude={"id"}))
    if isinstance(value, dict):
        return {key: bare(part) for key, part in value.items() if key not in _CLOCKS}
    if hasattr(value, "_asdict"):
        return bare(value._asdict())
    if isinstance(value, (list, tuple)):
        return [bare(part) for part in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _UUID.sub("ID", value if isinstance(value, str) else repr(value))


def watch(graph, *inputs, config=None, modes=MODES, **options) -> list[Any]:
    """Run a graph on inputs one after another; return its streams, errors and history."""
    config = config or {"configurable": {"thread_id": "1"}}
    seen: list[Any] = []
    for given in inputs:
        try:
            seen += map(bare, graph.stream(given, config, stream_mode=modes, **options))
        except Exception as error:
            seen.append(bare(error))
    if graph.checkpointer:
        seen += map(bare, graph.get_state_history(config))
    return seen


async def awatch(graph, *inputs, config=None, modes=MODES, **options) -> list[Any]:
    """Do what `watch` does, in async."""
    config = config or {"configurable": {"thread_id": "1"}}
    seen: list[Any] = []
    for given in inputs:
        try:
            async for part in graph.astream(given, config, stream_mode=modes, **options):
                seen.append(bare(part))
        except Exception as error:
            seen.append(bare(error))
    if graph.checkpointer:
        seen += [bare(state) async for state in graph.aget_state_history(config)]
    return seen
