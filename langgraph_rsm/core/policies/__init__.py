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

_MAKERS: Mapping[PolicyName, Callable[[SchedulerConfig, Callable[[], History]], Policy]] = {
    PolicyName.FCFS: lambda _, __: Fcfs(),
    PolicyName.PROGRAM_FCFS: lambda _, __: ProgramFcfs(),
    PolicyName.ROUND_ROBIN: lambda _, __: RoundRobin(),
    PolicyName.MLFQ: lambda config, _: Mlfq(_levels(config)),
    PolicyName.PLAS: lambda config, _: Plas(_levels(config)),
    PolicyName.ATLAS: lambda config, _: Atlas(_levels(config)),
    PolicyName.SJF: lambda config, recall: Sjf(recall(), config.service),
    PolicyName.GITTINS: lambda _, recall: Gittins(recall()),
    PolicyName.AUTO: lambda _, recall: Auto(recall()),
    PolicyName.SRPT_ORACLE: lambda _, __: SrptOracle(),
}


def create_policy(config: SchedulerConfig, recall: Callable[[], History] = History) -> Policy:
    """Make the policy that `config.policy` names; it does not look at the file `config.history`.

    Args:
        config: Settings.
        recall: Returns what is known from before; asked only for a policy that learns.
    """
    return _MAKERS[config.policy](config, recall)


def _levels(config: SchedulerConfig) -> Levels:
    return Levels(levels=config.levels, base_s=config.level_base_s)
