"""Scheduling policies, one class each: in which order waiting calls get a free slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.config import PolicyName
from langgraph_rsm.core.policies.atlas import Atlas
from langgraph_rsm.core.policies.base import Levels, Policy
from langgraph_rsm.core.policies.fcfs import Fcfs, ProgramFcfs
from langgraph_rsm.core.policies.gittins import Auto, Gittins
from langgraph_rsm.core.policies.mlfq import Mlfq
from langgraph_rsm.core.policies.plas import Plas
from langgraph_rsm.core.policies.round_robin import RoundRobin
from langgraph_rsm.core.policies.sjf import Sjf
from langgraph_rsm.core.policies.srpt_oracle import SrptOracle
from langgraph_rsm.core.programs.history import History

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from langgraph_rsm.config import SchedulerConfig

__all__ = (
    "Atlas",
    "Auto",
    "Fcfs",
    "Gittins",
    "Levels",
    "Mlfq",
    "Plas",
    "Policy",
    "ProgramFcfs",
    "RoundRobin",
    "Sjf",
    "SrptOracle",
    "create_policy",
)

_MAKERS: Mapping[PolicyName, Callable[[SchedulerConfig], Policy]] = {
    PolicyName.FCFS: lambda _: Fcfs(),
    PolicyName.PROGRAM_FCFS: lambda _: ProgramFcfs(),
    PolicyName.ROUND_ROBIN: lambda _: RoundRobin(),
    PolicyName.MLFQ: lambda config: Mlfq(_levels(config)),
    PolicyName.PLAS: lambda config: Plas(_levels(config)),
    PolicyName.ATLAS: lambda config: Atlas(_levels(config)),
    PolicyName.SJF: lambda config: Sjf(_history(config), config.service),
    PolicyName.GITTINS: lambda config: Gittins(_history(config)),
    PolicyName.AUTO: lambda config: Auto(_history(config)),
    PolicyName.SRPT_ORACLE: lambda _: SrptOracle(),
}


def create_policy(config: SchedulerConfig) -> Policy:
    """Make the policy that `config.policy` names.

    Raises:
        ConfigError: The file `config.history` exists and is not a history.
    """
    return _MAKERS[config.policy](config)


def _levels(config: SchedulerConfig) -> Levels:
    return Levels(levels=config.levels, base_s=config.level_base_s)


def _history(config: SchedulerConfig) -> History:
    path = config.history
    return History.load(path) if path is not None and path.exists() else History()
