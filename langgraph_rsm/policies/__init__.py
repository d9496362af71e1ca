"""Scheduling policies, one class a file: each says in which queue a call waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langgraph_rsm.config import PolicyName
from langgraph_rsm.policies.base import Policy
from langgraph_rsm.policies.fcfs import Fcfs
from langgraph_rsm.policies.plas import Plas

if TYPE_CHECKING:
    from langgraph_rsm.config import SchedulerConfig

__all__ = ("Fcfs", "Plas", "Policy", "create_policy")


def create_policy(config: SchedulerConfig) -> Policy:
    """Make the policy that `config.policy` names."""
    if config.policy is PolicyName.FCFS:
        return Fcfs()
    return Plas(levels=config.levels, base_s=config.level_base_s)
