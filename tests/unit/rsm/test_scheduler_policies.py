"""Policies and queues: published examples and the order they promise."""

import heapq

import pytest

from langgraph_rsm import ConfigError, Scheduler, SchedulerConfig
from langgraph_rsm.policies import Fcfs, Levels, Plas, create_policy

# Autellix (arXiv 2502.13965), figure 2: calls of four programs, all arriving at 0, batch of two.
FIGURE_2 = {"A": [4, 3, 1, 1], "B": [3, 3, 4], "C": [1, 2], "D": [4]}


def total_wait_s(drive, policy):
    """Play figure 2: each program issues its next call when the one before has ended."""
    core = drive(policy, capacity={"e": 2})
    running, wait_s = [], 0.0
    submitted = {}

    def play(instructions):
        nonlocal wait_s
        for instruction in instructions:
            call_id = instruction.split("->")[0]
            core.start(call_id)
            name, step = call_id[0], int(call_id[1:])
            wait_s += core.now - submitted[call_id]
            heapq.heappush(running, (core.now + FIGURE_2[name][step], call_id))

    def submit(name, step):
        call_id = f"{name}{step}"
        submitted[call_id] = core.now
        play(core.submit(call_id, name))

    for name in FIGURE_2:
        submit(name, 0)
    while running:
        end_s, call_id = heapq.heappop(running)
        freed = core.at(end_s).finish(call_id)
        name, step = call_id[0], int(call_id[1:]) + 1
        play(freed)
        if step < len(FIGURE_2[name]):
            submit(name, step)
    return wait_s


def test_plas_waits_less_than_fcfs_in_the_papers_example(drive):
    assert total_wait_s(drive, Fcfs()) == 18  # as published
    # The published 12 lets a program interrupt another in the middle of a call.
    assert total_wait_s(drive, Plas(Levels(levels=32, base_s=1e-3))) == 17


def test_plas_levels_are_contiguous_and_the_last_is_open():
    policy = Plas(Levels(levels=8, base_s=0.5))
    assert policy.levels.bounds_s == (0.5, 1, 2, 4, 8, 16, 32)


@pytest.mark.parametrize(
    ("attained_s", "level"), [(0, 0), (0.49, 0), (0.5, 1), (1.9, 2), (31.9, 6), (32, 7), (1e9, 7)]
)
def test_plas_level_of_attained_service(drive, attained_s, level):
    core = drive(Plas())
    core.run("c1", seconds=attained_s)
    core.submit("c2")
    assert core.core.record("c2").ticket.level == level


def test_plas_level_is_fixed_at_arrival(drive):
    core = drive(Plas(), capacity={"e": 2})
    core.submit("c1")
    core.submit("c2")
    core.start("c1")
    core.submit("c3")
    core.at(5).finish("c1")
    assert core.core.record("c3").ticket.level == 0


def test_names_give_their_policies():
    assert isinstance(create_policy(SchedulerConfig(policy="fcfs")), Fcfs)
    plas = create_policy(SchedulerConfig(policy="plas", levels=3, level_base_s=2))
    assert plas.levels.bounds_s == (2, 4)


def test_unknown_policy_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"known are fcfs, .*plas, .*auto"):
        Scheduler(policy="lottery")


def test_policy_object_is_taken_as_it_is():
    assert Scheduler(policy=Plas(Levels(levels=2))).snapshot().policy == "plas"
