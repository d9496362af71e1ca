"""Errors of simulations.

```text
SimulationError(SchedulerError)
├── WorkloadError(ValueError)   a workload cannot be generated as asked
└── TraceError(ValueError)      a recorded trace cannot be read
```
"""

from __future__ import annotations

from langgraph_rsm.errors import SchedulerError


class SimulationError(SchedulerError):
    """Raised when something cannot be simulated."""


class WorkloadError(SimulationError, ValueError):
    """Raised when a workload cannot be generated as asked."""


class TraceError(SimulationError, ValueError):
    """Raised when a recorded trace cannot be read; the message names the line."""
