"""Simulation: the scheduler's own core under a virtual clock, before modeled engines.

`Simulator` runs generated programs (`generate_programs`) or recorded ones (`read_replay`); the same
seed always gives the same outcome. On the command line: `python -m langgraph_rsm simulate` and
`python -m langgraph_rsm replay`.
"""

from langgraph_rsm.simulation.engine import EngineTotals, ReferenceEngine, SimulatedEngine
from langgraph_rsm.simulation.errors import SimulationError, TraceError, WorkloadError
from langgraph_rsm.simulation.fast_engine import FastEngine
from langgraph_rsm.simulation.outcome import CallOutcome, Outcome, ProgramOutcome
from langgraph_rsm.simulation.programs import CallSpec, ProgramSpec
from langgraph_rsm.simulation.replay import read_replay, write_replay
from langgraph_rsm.simulation.simulator import Simulator
from langgraph_rsm.simulation.summary import Summary, summarize
from langgraph_rsm.simulation.workloads import WORKLOADS, generate_programs

__all__ = [
    "WORKLOADS",
    "CallOutcome",
    "CallSpec",
    "EngineTotals",
    "FastEngine",
    "Outcome",
    "ProgramOutcome",
    "ProgramSpec",
    "ReferenceEngine",
    "SimulatedEngine",
    "SimulationError",
    "Simulator",
    "Summary",
    "TraceError",
    "WorkloadError",
    "generate_programs",
    "read_replay",
    "summarize",
    "write_replay",
]
