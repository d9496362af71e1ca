"""An engine for people without one: a model of a batching LLM engine, and a server around it.

`EngineModel` is pure and runs under any clock; `serve` puts it behind an OpenAI-compatible server
in real time. Only the server needs aiohttp, and it is imported when the server starts.
"""

from langgraph_rsm.emulation.embedded import EmulatedServer, serve
from langgraph_rsm.emulation.engine_model import EngineModel
from langgraph_rsm.emulation.errors import (
    EmulationError,
    EngineStateError,
    ProfileError,
    RequestRejectedError,
    StartError,
)
from langgraph_rsm.emulation.profiles import (
    PROFILES,
    CostModel,
    EngineProfile,
    SchedulingPolicy,
    load_profile,
)
from langgraph_rsm.emulation.request import (
    Admission,
    BlockKeys,
    EngineRequest,
    Finished,
    FinishReason,
    Iteration,
    IterationOutcome,
    SegmentBlocks,
    TokenBlocks,
)
from langgraph_rsm.emulation.stats import EngineCounters, EngineStats

__all__ = [
    "PROFILES",
    "Admission",
    "BlockKeys",
    "CostModel",
    "EmulatedServer",
    "EmulationError",
    "EngineCounters",
    "EngineModel",
    "EngineProfile",
    "EngineRequest",
    "EngineStateError",
    "EngineStats",
    "FinishReason",
    "Finished",
    "Iteration",
    "IterationOutcome",
    "ProfileError",
    "RequestRejectedError",
    "SchedulingPolicy",
    "SegmentBlocks",
    "StartError",
    "TokenBlocks",
    "load_profile",
    "serve",
]
