"""Every error that `langgraph_parallel` raises, by the phase that raises it.

ParallelError
├── AnalysisError    (TypeError)       the argument is not a graph or node that can be read
├── RewriteError     (ValueError)      a use of a rewritten graph would change its meaning
├── EquivalenceError (AssertionError)  two graphs that should agree did not
├── PlanError        (ValueError)      a plan contradicts itself, or cannot be read
├── PlanExecutionError (RuntimeError)  a plan stopped early; in `plan.results`, which it carries
│   └── PlanTimeoutError (TimeoutError)  it took longer than its limit
└── TaskTimeoutError (TimeoutError)    one attempt of a task took longer than its limit

A graph that cannot be made parallel is not an error: the report says why.
"""

from __future__ import annotations


class ParallelError(Exception):
    """Base of every error raised by `langgraph_parallel`."""


class AnalysisError(ParallelError, TypeError):
    """Raised when an argument is not something that can be analyzed."""


class RewriteError(ParallelError, ValueError):
    """Raised when a use of a rewritten graph would not mean what it meant before."""


class EquivalenceError(ParallelError, AssertionError):
    """Raised by `assert_equivalent` when the two graphs gave different answers."""


class PlanError(ParallelError, ValueError):
    """Raised when a plan cannot be read or its dependencies contradict each other."""


class TaskTimeoutError(ParallelError, TimeoutError):
    """The error of a task whose attempt took longer than its limit; it may be retried."""
