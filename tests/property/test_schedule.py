"""The linear scheduler against the definition: every pair, constrained one by one."""

from case_counts import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_parallel.ordering.dependence import Rule, Step, build_schedule, constrain

KEYS = st.frozensets(st.sampled_from("xyz"))


@st.composite
def regions(draw) -> tuple[Step, ...]:
    names = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1, max_size=8))
    steps = []
    for name in names:
        writes = draw(KEYS)
        fence = draw(st.sampled_from([None, None, None, None, Rule.EXTERNAL]))
        folds = draw(st.frozensets(st.sampled_from(sorted(writes)))) if writes else frozenset()
        steps.append(
            Step(
                name=name,
                reads=draw(KEYS),
                writes=writes,
                folds=folds,
                turns=writes if draw(st.booleans()) else frozenset(),
                resources=frozenset(),
                fence=fence,
            )
        )
    return tuple(steps)


def naive_levels(steps: tuple[Step, ...]) -> tuple[int, ...]:
    levels: list[int] = []
    for later in steps:
        level = 0
        for earlier, at in zip(steps, levels, strict=False):
            constraint = constrain(earlier, later)
            if constraint is not None:
                level = max(level, at + constraint.strict)
        levels.append(level)
    return tuple(levels)


@given(regions())
@settings(max_examples=cases(600), deadline=None)
def test_levels_are_the_least_that_keep_every_pair(steps):
    schedule = build_schedule(steps)
    assert schedule.levels == naive_levels(steps)


@given(regions())
@settings(max_examples=cases(600), deadline=None)
def test_edges_alone_bring_about_the_levels(steps):
    schedule = build_schedule(steps)
    natural: list[int] = []
    for before in schedule.predecessors:
        natural.append(max((natural[p] + 1 for p in before), default=0))
    assert tuple(natural) == schedule.levels
