"""Windows and working sets under any sequence of events: bounds, order and sums hold."""

from case_counts import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_rsm.core.engines.window import AdaptiveWindow, Answer
from langgraph_rsm.core.engines.working_set import WorkingSet

SECONDS = st.floats(0, 1e4)
ANSWERS = st.builds(
    Answer,
    in_flight=st.integers(1, 300),
    service_s=SECONDS,
    usual_s=SECONDS,
    ttft_s=st.none() | SECONDS,
    uncached_tokens=st.none() | st.integers(0, 1 << 20),
    output_tokens=st.none() | st.integers(0, 1 << 16),
)
SIGNS = st.lists(
    st.one_of(
        ANSWERS,
        st.integers(1, 1000),  # requests that an engine says it has in its queue
        st.just("refused"),
    ),
    max_size=200,
)


@settings(max_examples=cases(100), deadline=None)
@given(ceiling=st.integers(1, 256), signs=SIGNS, gap_s=st.floats(0, 10))
def test_window_stays_between_one_and_its_ceiling_and_grows_only_while_it_is_full(
    ceiling, signs, gap_s
):
    window, now = AdaptiveWindow(ceiling), 0.0
    full = False
    for sign in signs:
        before, now = window.limit, now + gap_s
        if isinstance(sign, Answer):
            full = full or sign.in_flight >= before
            window.answered(now, sign)
            assert full or window.limit <= before
        elif sign == "refused":
            window.refused(now, recovery_s=1.0, in_flight=before)
            assert window.limit <= before
        else:
            window.told(now, waiting=sign, running=None, in_flight=before)
            assert window.limit <= before
        assert 1 <= window.limit <= ceiling
        assert window.limit >= before // 2


PROGRAMS = st.sampled_from("abcdef")
STEPS = st.lists(
    st.tuples(st.sampled_from(["run", "rest", "wait", "leave"]), PROGRAMS, st.integers(0, 900)),
    max_size=60,
)


@settings(max_examples=cases(100), deadline=None)
@given(steps=STEPS, gap_s=st.sampled_from([0.0, 0.5, 3.0]))
def test_working_set_displaces_nobody_who_runs_or_ranks_about_as_well(steps, gap_s):
    memory = WorkingSet(1000)
    running: set[str] = set()
    levels: dict[str, int] = {}
    acting: dict[str, float] = {}
    now = 0.0
    for what, name, number in steps:
        now += gap_s
        if what == "run" and name not in running:
            resident = {other for other in "abcdef" if other in memory}
            level = number % 8
            fits = name in memory or memory.ready_s(number, level, now, idle=not running) <= now
            if not fits:
                continue
            grows = name in memory
            paused = memory.make_room(name, number, level, now, idle=not running)
            gone = {other for other in resident if other not in memory} - {name}
            assert not gone & running
            if running and not grows:
                assert all(levels[other] > level + 1 for other in paused)
                assert all(now >= acting[other] + 2 for other in gone - set(paused))
            assert set(paused) <= gone
            memory.hold(name, number)
            running.add(name)
            levels.pop(name, None)
            acting.pop(name, None)
        elif what in ("rest", "wait") and name in running:
            running.remove(name)
            if what == "rest":
                memory.rest(name, now)
                acting[name] = now
            else:
                memory.wait(name, (number % 8, 0), len(levels))
                levels[name] = number % 8
        elif what == "leave":
            memory.leave(name)
            running.discard(name)
        for other in [other for other in (*levels, *acting) if other not in memory]:
            levels.pop(other, None)
            acting.pop(other, None)
        assert memory.used_tokens == sum(memory._resident.values())
        assert running <= set(memory._resident)
