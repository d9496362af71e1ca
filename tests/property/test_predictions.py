"""What a report predicts is what a run takes, in virtual time."""

import asyncio
import itertools

import pytest
from case_counts import cases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict
from virtual_time import seconds_of

from langgraph_parallel import Effects, ParallelConfig, explain, parallelize

RELAXED = settings(
    max_examples=cases(200),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Plan:
    """A graph of nodes that take a while, and the choices of its routers."""

    def __init__(self):
        self.effects = {}
        self.durations = {}
        self.targets = {}
        self.takes_first = {"nobody"}
        self.edges = []
        self.joins = []
        self.sends = {}

    def add(self, draw, known, *, writes=True):
        """Add a node that reads some of the known keys and writes its own, or none."""
        name = f"n{len(self.effects):02}"
        reads = draw(st.sets(st.sampled_from(sorted(known)), max_size=2)) if known else set()
        external = draw(
            st.sampled_from([{"model"}, {"model"}, {"model"}, {"read"}, {"write"}, {"unknown"}])
        )
        self.effects[name] = Effects(
            reads=reads, writes={name} if writes else (), external=external
        )
        self.durations[name] = float(draw(st.integers(0, 4)))
        return name

    def node(self, name):
        async def run(state):
            found = self.effects[name]
            await asyncio.sleep(self.durations[name])
            read = [len(state.get(key) or ()) for key in sorted(found.reads)]
            return {name: read} if found.writes else None

        return run

    def router(self, name):
        first, second = sorted(self.targets[name])
        takes_first = self.takes_first

        async def route(state):
            return first if name in takes_first else second

        return route

    def sender(self, target):
        async def send(state):
            return [Send(target, state), Send(target, state)]

        return send

    def __repr__(self):
        return f"Plan({self.edges}, {self.joins}, {self.targets}, {self.sends}, {self.durations})"

    def build(self):
        keys = dict.fromkeys(self.effects, list)
        builder = StateGraph(TypedDict("Keys", keys, total=False))
        for name in self.effects:
            builder.add_node(name, self.node(name))
        for source, target in self.edges:
            builder.add_edge(source, target)
        for sources, target in self.joins:
            builder.add_edge(sources, target)
        for source, targets in self.targets.items():
            builder.add_conditional_edges(source, self.router(source), sorted(targets))
        for source, target in self.sends.items():
            builder.add_conditional_edges(source, self.sender(target), [target])
        return builder

    def follow(self, report):
        """Let routers choose what the report takes for granted."""
        (course,) = report.timeline.courses
        rows = [row.nodes for row in course.rows]
        for row, following in itertools.pairwise(rows):
            for name in set(row) & set(self.targets):
                if min(self.targets[name]) in following:
                    self.takes_first.add(name)


@st.composite
def plans(draw, *, shapes=("chain", "chain", "fork", "choice", "loop", "send")):
    """Segments one after another: chains, forks that meet, choices, loops and `Send`s."""
    plan = Plan()
    tail = START
    for _ in range(draw(st.integers(1, 4))):
        shape = draw(st.sampled_from(shapes))
        known = set(plan.effects)
        chain = [plan.add(draw, known | set(plan.effects)) for _ in range(draw(st.integers(1, 4)))]
        for source, target in itertools.pairwise([tail, *chain]):
            plan.edges.append((source, target))
        tail = chain[-1]
        if shape == "fork":
            branches = [plan.add(draw, set(plan.effects)) for _ in range(draw(st.integers(2, 3)))]
            end = plan.add(draw, set(plan.effects))
            plan.edges += [(tail, name) for name in branches]
            plan.joins.append((branches, end))
            tail = end
        elif shape == "choice":
            ways = [plan.add(draw, set(plan.effects)) for _ in range(2)]
            longer = plan.add(draw, set(plan.effects))
            end = plan.add(draw, set(plan.effects))
            plan.targets[tail] = set(ways)
            plan.edges += [(ways[0], longer), (longer, end), (ways[1], end)]
            tail = end
        elif shape == "loop":
            end = plan.add(draw, set(plan.effects))
            plan.targets[tail] = {draw(st.sampled_from(chain)), end}
            tail = end
        elif shape == "send":
            worker = plan.add(draw, set(plan.effects), writes=False)
            end = plan.add(draw, set(plan.effects))
            plan.sends[tail] = worker
            plan.edges.append((worker, end))
            tail = end
    plan.edges.append((tail, END))
    return plan


def seconds(graph):
    return seconds_of(graph.ainvoke({}, {"recursion_limit": 200}))


def explained(plan, builder, mode, **options):
    config = ParallelConfig(durations=plan.durations, **options)
    return explain(builder, mode=mode, effects=plan.effects, config=config)


def made(plan, builder, mode, **options):
    config = ParallelConfig(durations=plan.durations, **options)
    made = parallelize(builder, mode=mode, effects=plan.effects, config=config)
    return made.compile()


@given(plans())
@RELAXED
def test_fan_out_takes_what_is_predicted(plan):
    builder = plan.build()
    report = explained(plan, builder, "fanout")
    plan.follow(report)
    assert seconds(builder.compile()) == report.work
    assert seconds(made(plan, builder, "fanout")) == report.span


@pytest.mark.parametrize("speculate", ["never", "pure"])
@given(plans())
@RELAXED
def test_early_starts_take_no_longer_than_predicted(speculate, plan):
    builder = plan.build()
    report = explained(plan, builder, "exact", speculate=speculate)
    plan.follow(report)
    assert seconds(builder.compile()) == report.work
    assert seconds(made(plan, builder, "exact", speculate=speculate)) <= report.span


@given(plans(shapes=("chain", "fork")))
@RELAXED
def test_early_starts_without_routers_take_what_is_predicted(plan):
    builder = plan.build()
    report = explained(plan, builder, "exact")
    plan.follow(report)
    assert seconds(made(plan, builder, "exact")) == report.span


@given(plans())
@RELAXED
def test_allowing_more_never_predicts_less(plan):
    builder = plan.build()
    spans = [
        explained(plan, builder, "fanout").span,
        explained(plan, builder, "exact").span,
        explained(plan, builder, "exact", speculate="pure").span,
    ]
    work = explained(plan, builder, "fanout").work
    assert work >= spans[1] >= spans[2]
    assert work >= spans[0]
    trusting = explained(plan, builder, "exact", unknown_calls="independent")
    assert trusting.span <= spans[1]


def pasted(line):
    """Return what the line of a blocker declares: effects by node, or a setting."""
    scope = {"Effects": Effects, "ParallelConfig": ParallelConfig, "graph": None}
    if line.startswith("@effects"):
        return eval(line.replace("@effects", "Effects"), scope)
    return eval(line, {**scope, "parallelize": lambda graph, **given: given})


def applied(plan, builder, mode, blocker):
    """Explain the graph once more, with what a blocker proposes."""
    found = pasted(blocker.declaration)
    if isinstance(found, Effects):
        (name,) = blocker.nodes
        found = {"effects": {name: found}}
    config = ParallelConfig(durations=plan.durations)
    if "config" in found:
        config = config.model_copy(update={"unknown_calls": found["config"].unknown_calls})
    return explain(
        builder, mode=mode, effects={**plan.effects, **found.get("effects", {})}, config=config
    )


@pytest.mark.parametrize("mode", ["fanout", "exact"])
@given(plans())
@RELAXED
def test_a_pasted_declaration_saves_what_its_blocker_says(mode, plan):
    builder = plan.build()
    report = explained(plan, builder, mode)
    for blocker in report.blockers():
        if blocker.declaration:
            again = applied(plan, builder, mode, blocker)
            assert round(again.span, 6) == round(report.span - blocker.saves, 6), blocker
            assert again.work == report.work


@pytest.mark.parametrize("mode", ["fanout", "exact"])
@given(plans())
@RELAXED
def test_where_something_could_be_saved_there_is_a_blocker(mode, plan):
    builder = plan.build()
    report = explained(plan, builder, mode)
    calm = {
        name: Effects(reads=found.reads, writes=found.writes, external={"model"})
        for name, found in plan.effects.items()
    }
    config = ParallelConfig(durations=plan.durations)
    if explain(builder, mode=mode, effects=calm, config=config).span < report.span:
        assert report.blockers()
