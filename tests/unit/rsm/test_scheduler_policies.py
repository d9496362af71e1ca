"""Policies and queues: published examples and the order they promise."""

import heapq

import pytest

from langgraph_rsm import ConfigError, Scheduler, SchedulerConfig
from langgraph_rsm.policies import Fcfs, Plas, create_policy
from langgraph_rsm.queues import MultilevelQueue, Ticket
from langgraph_rsm.waiting import WaitingRoom

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
    assert total_wait_s(drive, Plas(levels=32, base_s=1e-3)) == 17


def test_plas_levels_are_contiguous_and_the_last_is_open():
    policy = Plas(levels=8, base_s=0.5)
    assert policy.bounds_s == (0.5, 1, 2, 4, 8, 16, 32)


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
    assert plas.bounds_s == (2, 4)


def test_unknown_policy_lists_the_known_ones():
    with pytest.raises(ConfigError, match="known are fcfs, plas"):
        Scheduler(policy="lottery")


def test_policy_object_is_taken_as_it_is():
    assert Scheduler(policy=Plas(levels=2)).snapshot().policy == "plas"


def ticket(call_id, level, seq, submitted_s=0.0):
    return Ticket(call_id=call_id, level=level, seq=seq, submitted_s=submitted_s)


def test_multilevel_queue_serves_levels_then_arrival():
    queue = MultilevelQueue(3)
    for seq, (call_id, level) in enumerate([("a", 2), ("b", 1), ("c", 1), ("d", 9)]):
        queue.push(ticket(call_id, level, seq))
    order = []
    while queue:
        head = queue.peek()
        order.append(head.call_id)
        queue.discard(head.call_id)
    assert order == ["b", "c", "a", "d"]


def test_multilevel_queue_removes_from_the_middle():
    queue = MultilevelQueue(1)
    for seq, call_id in enumerate("abc"):
        queue.push(ticket(call_id, 0, seq))
    queue.discard("b")
    assert [item.call_id for item in queue] == ["a", "c"]
    assert queue.oldest().call_id == "a"


@pytest.mark.parametrize("look", ["peek", "oldest"])
def test_empty_queue_has_no_head(look):
    with pytest.raises(IndexError):
        getattr(MultilevelQueue(2), look)()


def test_waiting_room_compares_pools_by_level_then_arrival():
    room = WaitingRoom(make_queue=lambda: MultilevelQueue(4), max_wait_s=100)
    room.add(ticket("late", 1, 2), ("a",))
    room.add(ticket("early", 1, 1), ("a", "b"))
    room.add(ticket("first-level", 0, 3), ("b",))
    assert room.next_for("a", 0).call_id == "early"
    assert room.next_for("b", 0).call_id == "first-level"
    assert room.next_for("c", 0) is None
    assert room.depths() == {0: 1, 1: 2}


def test_waiting_room_prefers_the_longest_overdue_call_of_all_pools():
    room = WaitingRoom(make_queue=lambda: MultilevelQueue(4), max_wait_s=10)
    room.add(ticket("overdue", 3, 0, submitted_s=0), ("a",))
    room.add(ticket("overdue-too", 3, 1, submitted_s=1), ("a", "b"))
    room.add(ticket("fresh", 0, 2, submitted_s=11), ("a", "b"))
    assert room.next_for("a", 11).call_id == "overdue"
    assert room.next_for("b", 11).call_id == "overdue-too"
    assert room.next_for("b", 10.9).call_id == "fresh"
