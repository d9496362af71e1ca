"""The order rules, each with the case that would break if it were dropped."""

from langgraph_parallel.ordering.dependence import Rule, Step, build_schedule, constrain
from langgraph_parallel.ordering.turns import keys_in_turn


def step(name, reads="", writes="", folds="", resources="", fence=None, turns="") -> Step:
    return Step(
        name=name,
        reads=frozenset(reads.split()),
        writes=frozenset(writes.split()) | frozenset(folds.split()),
        folds=frozenset(folds.split()),
        resources=frozenset(resources.split()),
        fence=fence,
        turns=frozenset(turns.split()),
    )


def levels(*steps: Step, limits=None) -> tuple[int, ...]:
    return build_schedule(steps, limits).levels


def test_disjoint_nodes_share_a_superstep():
    assert levels(step("a", "x", "p"), step("b", "x", "q"), step("c", "x", "r")) == (0, 0, 0)


def test_raw_puts_reader_after_writer():
    assert levels(step("a", "", "x"), step("b", "x", "y")) == (0, 1)


def test_waw_on_a_plain_key_keeps_the_last_writer_last():
    assert levels(step("a", "", "x"), step("b", "", "x")) == (0, 1)


def test_war_lets_writer_share_the_superstep_of_the_reader():
    assert levels(step("a", "x", "p"), step("b", "", "x")) == (0, 0)


def test_war_keeps_writer_from_overtaking_a_late_reader():
    steps = step("a", "", "p"), step("b", "p x", "q"), step("c", "", "x")
    schedule = build_schedule(steps)
    assert schedule.levels == (0, 1, 1)
    assert schedule.predecessors == ((), (0,), (0,))


def test_fold_in_name_order_shares_a_superstep():
    assert levels(step("a", "", "", "log"), step("b", "", "", "log")) == (0, 0)


def test_fold_against_name_order_is_ordered():
    assert levels(step("z", "", "", "log"), step("a", "", "", "log")) == (0, 1)


def test_fold_of_an_update_that_may_overwrite_is_ordered():
    assert levels(step("a", "", "log"), step("b", "", "", "log")) == (0, 1)


def test_writers_that_take_turns_share_a_superstep():
    assert levels(step("z", "", "", "log", turns="log"), step("a", "", "", "log", turns="log")) == (
        0,
        0,
    )
    assert levels(step("z", "", "x", turns="x"), step("a", "", "x", turns="x")) == (0, 0)
    assert levels(step("z", "", "x", turns="x"), step("a", "", "x")) == (0, 1), (
        "only one takes them"
    )


def test_last_of_several_writers_is_not_overtaken_by_one_that_waits():
    steps = step("a", "", "x p", turns="x p"), step("b", "p", "x", turns="x"), step("c", "", "x")
    assert levels(*steps[:2], step("c", "", "x", turns="x")) == (0, 1, 1)
    assert levels(*steps) == (0, 1, 2)


def test_pair_that_takes_turns_is_named_independent():
    verdict = constrain(
        step("z", "", "x", "log", turns="x log"), step("a", "", "x", "log", turns="x log")
    )
    assert verdict is not None
    assert (verdict.rule, verdict.keys, verdict.strict) == (Rule.OUTPUT, ("log", "x"), False)


def test_keys_in_turn_are_those_that_names_would_put_in_another_order():
    def keys(*steps):
        return keys_in_turn(steps)

    a, b = step("a", "", "", "log"), step("b", "", "", "log")
    assert keys(a, b) == frozenset()
    assert keys(b, a) == {"log"}
    assert keys(step("a", "", "log"), b) == {"log"}, "it may be an Overwrite"
    assert keys(step("a", "", "x"), step("b", "", "x y"), step("c", "", "y")) == {"x", "y"}


def test_reader_of_a_reducer_key_waits_for_every_writer():
    steps = step("a", folds="log"), step("b", folds="log"), step("c", "log", "x")
    assert build_schedule(steps).predecessors == ((), (), (0, 1))


def test_fence_waits_for_all_and_all_wait_for_it():
    steps = (
        step("a", "", "p"),
        step("b", "", "q"),
        step("f", fence=Rule.EXTERNAL),
        step("c", "", "r"),
        step("d", "", "s"),
    )
    schedule = build_schedule(steps)
    assert schedule.levels == (0, 0, 1, 2, 2)
    assert schedule.predecessors == ((), (), (0, 1), (2,), (2,))


def test_exclusive_resource_allows_one_node_a_superstep():
    steps = [step(n, "", n, resources="api") for n in "abc"]
    assert levels(*steps) == (0, 1, 2)
    assert levels(*steps, limits={"api": 2}) == (0, 0, 1)


def test_redundant_edges_are_dropped():
    steps = step("a", "", "x"), step("b", "x", "y"), step("c", "x y", "z")
    assert build_schedule(steps).predecessors == ((), (0,), (1,))


def test_sinks_are_what_nobody_waits_for():
    steps = step("a", "", "x"), step("b", "x", "y"), step("c", "", "z")
    assert build_schedule(steps).sinks == (1, 2)


def test_pair_verdict_names_rule_and_keys():
    verdict = constrain(step("a", "", "x y"), step("b", "x y"))
    assert verdict is not None
    assert (verdict.rule, verdict.keys, verdict.strict) == (Rule.FLOW, ("x", "y"), True)
    assert constrain(step("a", "", "x"), step("b", "", "y")) is None
