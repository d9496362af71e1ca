"""Policies: published examples, and the order that each promises."""

import math

import pytest

from langgraph_rsm import ConfigError, Scheduler, SchedulerConfig
from langgraph_rsm.config import PolicyName
from langgraph_rsm.core.policies import (
    Atlas,
    Auto,
    Fcfs,
    Gittins,
    Levels,
    Mlfq,
    Plas,
    ProgramFcfs,
    RoundRobin,
    Sjf,
    SrptOracle,
    create_policy,
)

# Autellix (arXiv 2502.13965), figure 2: calls of four programs, all arriving at 0, batch of two.
FIGURE_2 = {"A": [4, 3, 1, 1], "B": [3, 3, 4], "C": [1, 2], "D": [4]}


class Play:
    """Plays programs of calls in sequence on two slots, one second at a time."""

    def __init__(self, core, programs):
        self.core, self.programs = core, programs
        self.left_s, self.since_s, self.running = {}, {}, []
        self.wait_s = 0.0
        for name in programs:
            self.submit(name, 0)

    def submit(self, name, step):
        call_id = f"{name}{step}"
        self.left_s[call_id] = self.programs[name][step]
        self.since_s[call_id] = self.core.now
        self.obey(self.core.submit(call_id, name, preemptible=True))

    def obey(self, instructions):
        for instruction in instructions:
            if instruction.startswith("preempt "):
                call_id = instruction.split()[1]
                self.running.remove(call_id)
                self.since_s[call_id] = self.core.now
                self.obey(self.core.preempted(call_id))
            else:
                call_id = instruction.split("->")[0]
                self.wait_s += self.core.now - self.since_s.pop(call_id)
                self.core.start(call_id)
                self.running.append(call_id)

    def second(self):
        self.core.now += 1
        for call_id in self.running:
            self.left_s[call_id] -= 1
        done = [call_id for call_id in self.running if not self.left_s[call_id]]
        for call_id in done:
            self.running.remove(call_id)
            self.obey(self.core.finish(call_id))
        for call_id in done:
            name, step = call_id[0], int(call_id[1:]) + 1
            if step < len(self.programs[name]):
                self.submit(name, step)
        for call_id in tuple(self.running):
            if call_id in self.running:
                self.obey(self.core.progress(call_id))

    def total_wait_s(self):
        while self.running:
            self.second()
        assert not self.since_s, "a call was never served"
        return self.wait_s


# The paper publishes no quanta. With four seconds no call of the example uses up its first one,
# and a multilevel queue is first come, first served; attained service is told apart by seconds.


@pytest.mark.parametrize(
    ("policy", "preemption_levels", "wait_s"),
    [
        (Fcfs(), 1, 18),
        (Mlfq(Levels(levels=4, base_s=4)), 1, 18),
        (Plas(Levels(levels=12, base_s=1)), 1, 12),
        (Plas(Levels(levels=12, base_s=1)), 0, 17),  # only between calls
    ],
)
def test_total_wait_in_the_papers_example(drive, policy, preemption_levels, wait_s):
    core = drive(policy, capacity={"e": 2}, preemption_levels=preemption_levels)
    assert Play(core, FIGURE_2).total_wait_s() == wait_s


def order(core, *call_ids):
    """Serve what waits one after another behind the call `hold`; returns the order."""
    served, last = [], "hold"
    while instructions := core.cancel(last):
        last = instructions[0].split("->")[0]
        served.append(last)
    assert sorted(served) == sorted(call_ids)
    return served


def test_fcfs_serves_calls_as_they_come(drive):
    core = drive(Fcfs())
    core.submit("hold", "x")
    for n, program in enumerate("abab"):
        core.submit(f"{program}{n}", program)
    assert order(core, "a0", "b1", "a2", "b3") == ["a0", "b1", "a2", "b3"]


def test_program_fcfs_serves_the_program_that_came_first(drive):
    core = drive(ProgramFcfs())
    core.submit("hold", "x")
    for n, program in enumerate("abab"):
        core.submit(f"{program}{n}", program)
    assert order(core, "a0", "b1", "a2", "b3") == ["a0", "a2", "b1", "b3"]


def test_round_robin_gives_each_program_a_call_in_turn(drive):
    core = drive(RoundRobin())
    core.submit("hold", "x")
    for call_id in ("a0", "a1", "a2", "b0", "b1", "c0"):
        core.submit(call_id, call_id[0])
    served = order(core, "a0", "a1", "a2", "b0", "b1", "c0")
    assert served == ["a0", "b0", "c0", "a1", "b1", "a2"]


def test_round_robin_saves_nothing_up_for_a_program_that_was_away(drive):
    core = drive(RoundRobin())
    for n in range(5):
        core.run(f"a{n}", "a", seconds=1)
    core.submit("hold", "x")
    for call_id in ("a5", "b0", "b1", "a6"):
        core.submit(call_id, call_id[0])
    # b has no four rounds to make up for: it has the one in which a was served last.
    assert order(core, "a5", "b0", "b1", "a6") == ["b0", "a5", "b1", "a6"]


@pytest.mark.parametrize(
    ("attained_s", "level"), [(0, 0), (0.49, 0), (0.5, 1), (1.9, 2), (31.9, 6), (32, 7), (1e9, 7)]
)
def test_plas_level_of_attained_service(drive, attained_s, level):
    core = drive(Plas(), program_ttl_s=1e12)
    core.run("c1", seconds=attained_s)
    core.submit("c2")
    assert core.core.record("c2").ticket.level == level


def test_plas_moves_waiting_calls_as_their_program_is_served(drive):
    core = drive(Plas(), capacity={"e": 2})
    core.submit("a1", "a")
    core.start("a1")
    core.submit("hold", "x")
    core.submit("a2", "a")
    core.submit("b1", "b")
    assert core.at(5).finish("a1") == ["b1->e"]


def test_plas_moves_waiting_calls_of_a_program_under_each_of_its_tenants(drive):
    core = drive(Plas(), beta=math.inf)
    core.submit("first", "long", tenant="free")
    core.submit("other", "long", tenant="gold")
    core.submit("short", "short", tenant="gold")
    core.start("first")
    assert core.at(10).finish("first") == ["short->e"]


def test_plas_charges_running_calls_at_an_arrival(drive):
    core = drive(Plas(), capacity={"e": 2})
    core.submit("a1", "a")
    core.start("a1")
    core.submit("hold", "x")
    core.at(5).submit("a2", "a")
    core.submit("b1", "b")
    assert core.cancel("hold") == ["b1->e"]


def test_plas_divides_service_by_the_share_of_the_program(drive):
    core = drive(Plas(Levels(levels=12, base_s=1)))
    core.run("a1", "a", seconds=6)
    core.run("b1", "b", weight=4.0, seconds=8)
    core.submit("hold", "x")
    core.submit("a2", "a")
    core.submit("b2", "b")
    assert core.cancel("hold") == ["b2->e"]


def test_atlas_follows_the_critical_path_of_two_branches(drive):
    # root (2) -> left (3) -> join;  root -> right (1) -> join: paths 0, 2, 2, then 2 + 3 = 5.
    core = drive(Atlas(Levels(levels=30, base_s=1, growth=1.2)), capacity={"e": 2})
    core.run("root", seconds=2)
    core.submit("left", parents=("root",))
    core.submit("right", parents=("root",))
    core.start("left")
    core.start("right")
    assert [core.core.record(c).inherited_s for c in ("left", "right")] == [2, 2]
    core.at(3).finish("right")
    core.submit("tail", parents=("right",))
    assert core.core.record("tail").inherited_s == 3  # its own branch, not the longest
    core.at(5).finish("left")
    core.cancel("tail")
    core.submit("join", parents=("left", "right"))
    assert core.core.record("join").inherited_s == 5
    assert core.program().attained_s == 6


def test_atlas_without_parents_takes_the_longest_path_of_the_program(drive):
    core = drive(Atlas(), capacity={"e": 2})
    core.submit("left")
    core.submit("right")
    core.start("left")
    core.start("right")
    core.at(1).finish("right")
    core.at(4).finish("left")
    core.submit("next")
    assert core.core.record("next").inherited_s == 4


def test_atlas_serves_a_fan_out_together(drive):
    core = drive(Atlas())
    core.run("a0", "a", seconds=3)
    core.run("b0", "b", seconds=5)
    core.submit("hold", "x")
    for call_id in ("b1", "a1", "b2", "a2"):
        core.submit(call_id, call_id[0])
    assert order(core, "b1", "a1", "b2", "a2") == ["a1", "a2", "b1", "b2"]


def test_mlfq_demotes_a_call_that_used_up_its_quantum(drive):
    core = drive(Mlfq(Levels(levels=3, base_s=1)), preemption_levels=1)
    core.submit("long", preemptible=True)
    core.start("long")
    core.submit("fresh", "q")
    assert core.at(0.5).progress("long") == []
    assert core.at(1).progress("long") == ["preempt long"]
    assert core.preempted("long") == ["fresh->e"]
    assert core.core.record("long").ticket.level == 1
    core.start("fresh")
    assert core.at(1.5).finish("fresh") == ["long->e"]
    core.start("long")
    assert core.at(2).finish("long") == []
    assert core.program().attained_s == 1.5


def test_call_that_cannot_be_preempted_runs_on(drive):
    core = drive(Mlfq(Levels(levels=3, base_s=1)), preemption_levels=1)
    core.submit("long")
    core.start("long")
    core.submit("fresh", "q")
    assert core.at(9).progress("long") == []


def test_sjf_learns_what_call_sites_cost(drive):
    core = drive(Sjf())
    core.run("l1", call_site="long", graph="g", seconds=9)
    core.run("s1", call_site="short", graph="g", seconds=1)
    core.submit("hold", "x", graph="g", call_site="hold")
    core.submit("l2", call_site="long", graph="g")
    core.submit("s2", call_site="short", graph="g")
    assert core.cancel("hold") == ["s2->e"]


def test_sjf_believes_what_a_call_says(drive):
    core = drive(Sjf())
    core.submit("hold", "x")
    core.submit("long", output_tokens=2000)
    core.submit("short", output_tokens=20)
    assert core.cancel("hold") == ["short->e"]


def test_srpt_oracle_serves_what_is_nearly_done(drive):
    core = drive(SrptOracle())
    core.run("a1", "a", oracle_remaining_s=10.0, seconds=8)
    core.submit("hold", "x")
    core.submit("b1", "b", oracle_remaining_s=5.0)
    core.submit("a2", "a")
    core.submit("unknown", "u")
    assert order(core, "a2", "b1", "unknown") == ["a2", "b1", "unknown"]


def train(core, graph, seconds, *, runs=30, sites=("work",)):
    for n in range(runs):
        for site in sites:
            core.run(
                f"{graph}{n}{site}", f"{graph}{n}", graph=graph, call_site=site, seconds=seconds
            )
        core.end(f"{graph}{n}")


@pytest.mark.parametrize("policy", [Gittins, Auto])
def test_gittins_without_history_prefers_the_less_served(drive, policy):
    core = drive(policy())
    core.run("a1", "a", graph="g", seconds=8)
    core.submit("hold", "x", graph="g")
    core.submit("a2", "a", graph="g")
    core.submit("b1", "b", graph="g")
    assert core.cancel("hold") == ["b1->e"]


@pytest.mark.parametrize("policy", [Gittins, Auto])
def test_gittins_prefers_graphs_that_have_been_short(drive, policy):
    core = drive(policy())
    train(core, "long", 60)
    train(core, "short", 1)
    core.submit("hold", "x", graph="short")
    core.submit("l", "new-long", graph="long", call_site="work")
    core.submit("s", "new-short", graph="short", call_site="work")
    assert core.cancel("hold") == ["s->e"]


def test_gittins_finishes_a_program_that_is_nearly_done(drive):
    core = drive(Gittins())
    train(core, "even", 60)
    core.run("old1", "old", graph="even", seconds=50)
    core.submit("hold", "x", graph="other")
    core.submit("new1", "new", graph="even")
    core.submit("old2", "old", graph="even")
    assert core.cancel("hold") == ["old2->e"]


def test_running_programs_count_before_any_of_their_kind_has_finished(drive):
    core = drive(Gittins(), capacity={"e": 40}, max_queue=1000)
    train(core, "short", 2)
    for n in range(30):
        core.submit(f"l{n}", f"long{n}", graph="long", preemptible=True)
        core.start(f"l{n}")
    core.now += 40
    for n in range(30):
        core.progress(f"l{n}")
    core.engine("e", 31)
    core.submit("hold", "x", graph="short")
    core.submit("l", "new-long", graph="long")
    core.submit("u", "new-unknown", graph="never-seen")
    # Thirty have got to 40 s and none was done, while what is known at large is over at 2 s.
    assert core.cancel("hold") == ["u->e"]


def test_auto_tells_call_sites_of_a_graph_apart(drive):
    core = drive(Auto())
    for n in range(30):
        core.run(f"p{n}", f"p{n}", graph="g", call_site="plan", seconds=1)
        core.run(f"w{n}", f"p{n}", graph="g", call_site="work", seconds=60)
        core.run(f"s{n}", f"p{n}", graph="g", call_site="sum", seconds=1)
        core.end(f"p{n}")
    core.run("a-plan", "a", graph="g", call_site="plan", seconds=1)
    core.run("b-plan", "b", graph="g", call_site="plan", seconds=1)
    core.submit("hold", "x")
    core.submit("a-work", "a", graph="g", call_site="work")
    core.submit("b-sum", "b", graph="g", call_site="sum")
    assert core.cancel("hold") == ["b-sum->e"]


def test_auto_serves_the_longest_remaining_path_of_a_program_first(drive):
    core = drive(Auto())
    core.submit("hold", "x")
    core.submit("leaf", remaining_path_s=1.0)
    core.submit("trunk", remaining_path_s=9.0)
    assert order(core, "leaf", "trunk") == ["trunk", "leaf"]


@pytest.mark.parametrize("name", PolicyName)
def test_every_name_has_its_policy(name):
    assert create_policy(SchedulerConfig(policy=name)).name == name.value


def test_settings_reach_the_levels():
    plas = create_policy(SchedulerConfig(policy="plas", levels=3, level_base_s=2))
    assert plas.levels.bounds_s == (2, 4)


def test_unknown_policy_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"known are fcfs, .*plas, .*auto"):
        Scheduler(policy="lottery")


def test_policy_object_is_taken_as_it_is():
    assert Scheduler(policy=Plas(Levels(levels=2))).snapshot().policy == "plas"
