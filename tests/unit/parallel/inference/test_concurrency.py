"""Nodes that run functions beside one another, and locks: what runs counts where it is started."""

import asyncio
import concurrent.futures
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import explain, infer_effects, parallelize

LLM = ChatOpenAI(model="none", api_key="none", base_url="http://127.0.0.1:9/v1")
LOG: list[str] = []
LOCK, OTHER_LOCK = threading.Lock(), threading.Lock()
PERMITS = threading.Semaphore(2)
ASYNC_LOCK, OTHER_ASYNC_LOCK = asyncio.Lock(), asyncio.Lock()
PACE = asyncio.Semaphore(4)
POOL = ThreadPoolExecutor(2)
SETUP_POOL = ThreadPoolExecutor(2, initializer=LOG.clear)


class State(TypedDict, total=False):
    topics: list[str]
    a: str
    b: str
    c: str


def ask(text):
    return LLM.invoke(text).content


async def ask_async(text):
    return (await LLM.ainvoke(text)).content


def maps_on_threads(state):
    with ThreadPoolExecutor(max_workers=4) as pool:
        return {"b": " ".join(pool.map(ask, state["topics"]))}


def submits_a_method(state):
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(LLM.invoke, topic) for topic in state["topics"]]
        return {"b": " ".join(future.result().content for future in futures)}


def keeps_futures_as_keys(state):
    found = {}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        futures = {pool.submit(ask, topic): topic for topic in state["topics"]}
        for future in concurrent.futures.as_completed(futures):
            found[futures[future]] = future.result()
    return {"b": str(found)}


def waits_in_a_shared_pool(state):
    return {"b": POOL.submit(ask, state["topics"][0]).result()}


async def groups_tasks(state):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(LLM.ainvoke(topic)) for topic in state["topics"]]
    return {"b": " ".join(task.result().content for task in tasks)}


async def awaits_tasks(state):
    first = asyncio.create_task(ask_async(state["topics"][0]))
    second = asyncio.create_task(ask_async("second"))
    return {"b": await first + await second}


async def gathers_tasks(state):
    tasks = []
    for topic in state["topics"]:
        tasks.append(asyncio.create_task(ask_async(topic)))
    async with asyncio.timeout(5):
        found = await asyncio.gather(*tasks)
    return {"b": " ".join(found)}


async def awaits_each(state):
    tasks = {asyncio.ensure_future(ask_async(topic)) for topic in state["topics"]}
    return {"b": " ".join([await task for task in tasks])}


async def takes_them_as_they_come(state):
    found = []
    for each in asyncio.as_completed([ask_async(topic) for topic in state["topics"]]):
        found.append(await each)
    return {"b": " ".join(found)}


async def runs_in_an_executor(state):
    loop = asyncio.get_running_loop()
    return {"b": await loop.run_in_executor(None, ask, state["topics"][0])}


async def paces_calls(state):
    async def one(topic):
        async with PACE:
            return await asyncio.wait_for(ask_async(topic), timeout=5)

    return {"b": " ".join(await asyncio.gather(*(one(topic) for topic in state["topics"])))}


def runs_a_loop(state):
    async def every():
        return await asyncio.gather(*(ask_async(topic) for topic in state["topics"]))

    return {"b": " ".join(asyncio.run(every()))}


def takes_a_lock(state):
    with LOCK:
        return {"b": ask(state["topics"][0])}


FREE = (
    *(maps_on_threads, submits_a_method, keeps_futures_as_keys, waits_in_a_shared_pool),
    *(groups_tasks, awaits_tasks, gathers_tasks, awaits_each, takes_them_as_they_come),
    *(runs_in_an_executor, paces_calls, runs_a_loop, takes_a_lock),
)


@pytest.mark.parametrize("node", FREE)
def test_work_that_is_waited_for_is_the_work_of_its_node(node):
    found = infer_effects(node, State)
    assert (found.reads, found.writes, found.external) == ({"topics"}, {"b"}, {"model"})
    assert not found.mutates


def as_first(node):
    """Return a node that does the same and writes another key."""
    if asyncio.iscoroutinefunction(node):

        async def first_async(state):
            return {"a": (await node(state))["b"]}

        return first_async

    def first(state):
        return {"a": node(state)["b"]}

    return first


def graph_of(*nodes: Any) -> StateGraph:
    builder = StateGraph(State)
    builder.add_sequence([(f"n{i}", node) for i, node in enumerate(nodes)])
    return builder.add_edge(START, "n0")


@pytest.mark.parametrize("mode", ["fanout", "exact"])
@pytest.mark.parametrize("node", FREE)
def test_two_of_a_kind_run_together(node, mode):
    # Loops of their own come one at a time: a client that both use belongs to one of them.
    limits = {"asyncio.run": 2} if node is runs_a_loop else None
    assert explain(graph_of(as_first(node), node), mode=mode, resources=limits).is_parallel


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_loops_of_their_own_come_one_at_a_time(mode):
    assert not explain(graph_of(as_first(runs_a_loop), runs_a_loop), mode=mode).is_parallel


# -- what is not waited for ------------------------------------------------------------------------


def leaves_a_pool(state):
    pool = ThreadPoolExecutor()
    pool.submit(ask, state["topics"][0])
    return {"b": "left"}


def leaves_work_in_a_shared_pool(state):
    POOL.submit(ask, state["topics"][0])
    return {"b": "left"}


def asks_with_a_deadline(state):
    return {"b": POOL.submit(ask, state["topics"][0]).result(1)}


async def forgets_a_task(state):
    asyncio.create_task(ask_async(state["topics"][0]))  # noqa: RUF006
    return {"b": "left"}


async def awaits_sometimes(state):
    task = asyncio.create_task(ask_async(state["topics"][0]))
    if state["topics"]:
        await task
    return {"b": "left"}


async def leaves_before_it_awaits(state):
    task = asyncio.create_task(ask_async(state["topics"][0]))
    if not state["topics"]:
        return {"b": "left"}
    return {"b": await task}


async def waits_with_a_deadline(state):
    task = asyncio.create_task(ask_async(state["topics"][0]))
    await asyncio.wait([task], timeout=1)
    return {"b": "left"}


async def awaits_another(state):
    task = asyncio.create_task(ask_async(state["topics"][0]))
    task = asyncio.create_task(ask_async("another"))
    return {"b": await task}


async def breaks_off(state):
    for each in asyncio.as_completed([ask_async(topic) for topic in state["topics"]]):
        await each
        break
    return {"b": "left"}


async def leaves_an_executor(state):
    asyncio.get_running_loop().run_in_executor(None, ask, state["topics"][0])
    return {"b": "left"}


async def gives_a_task_away(state):
    return {"b": str(id(asyncio.create_task(ask_async(state["topics"][0]))))}


@pytest.mark.parametrize(
    "node",
    [
        *(leaves_a_pool, leaves_work_in_a_shared_pool, asks_with_a_deadline, forgets_a_task),
        *(awaits_sometimes, leaves_before_it_awaits, waits_with_a_deadline, awaits_another),
        *(breaks_off, leaves_an_executor, gives_a_task_away),
    ],
)
def test_work_that_may_outlast_its_node_is_not_known(node):
    found = infer_effects(node, State)
    assert "unknown" in found.external
    assert any("may not wait for it" in note.what for note in found.evidence)


# -- what runs there has its effects ---------------------------------------------------------------


def changes_a_global_on_threads(state):
    with ThreadPoolExecutor() as pool:
        list(pool.map(LOG.append, state["topics"]))
    return {"b": "done"}


def changes_the_state_on_a_thread(state):
    with ThreadPoolExecutor() as pool:
        pool.submit(lambda: state["topics"].append("new")).result()
    return {"b": "done"}


async def changes_a_global_in_a_group(state):
    async def note(topic):
        LOG.append(topic)

    async with asyncio.TaskGroup() as group:
        for topic in state["topics"]:
            group.create_task(note(topic))
    return {"b": "done"}


async def changes_a_global_in_an_executor(state):
    await asyncio.get_running_loop().run_in_executor(None, LOG.append, state["topics"][0])
    return {"b": "done"}


def begins_with_code(state):
    with ThreadPoolExecutor(1, initializer=LOG.clear) as pool:
        return {"b": pool.submit(ask, state["topics"][0]).result()}


def uses_a_pool_that_begins_with_code(state):
    return {"b": SETUP_POOL.submit(ask, state["topics"][0]).result()}


@pytest.mark.parametrize(
    "node",
    [
        *(changes_a_global_on_threads, changes_the_state_on_a_thread),
        *(changes_a_global_in_a_group, changes_a_global_in_an_executor),
        *(begins_with_code, uses_a_pool_that_begins_with_code),
    ],
)
def test_what_runs_beside_changes_what_it_changes(node):
    found = infer_effects(node, State)
    assert found.changes or found.mutates or "unknown" in found.external
    assert not explain(graph_of(as_first(node), node)).is_parallel


def reads_a_key_named_later(state):
    key = "a"
    with ThreadPoolExecutor() as pool:
        gate = threading.Event()
        future = pool.submit(lambda: (gate, state[key]))
        key = "c"
    return {"b": str(future.result())}


async def awaits_after_rebinding(state):
    key = "a"

    async def one():
        return state[key]

    waiting = one()
    key = "c"
    return {"b": await waiting}


def generates_after_rebinding(state):
    key = "a"

    def each():
        yield state[key]

    made = each()
    key = "c"
    return {"b": " ".join(made)}


@pytest.mark.parametrize(
    "node", [reads_a_key_named_later, awaits_after_rebinding, generates_after_rebinding]
)
def test_a_body_that_runs_later_sees_what_is_assigned_until_then(node):
    assert infer_effects(node, State).reads >= {"a", "c"}


# -- locks -----------------------------------------------------------------------------------------


async def holds_a_lock_of_threads_and_awaits(state):
    with LOCK:
        return {"b": await ask_async("x")}


@contextlib.contextmanager
def guard():
    with LOCK:
        yield


async def holds_one_in_a_generator(state):
    with guard():
        return {"b": await ask_async("x")}


def nests_locks(state):
    with LOCK, OTHER_LOCK:
        return {"b": ask("x")}


def take_the_other():
    with OTHER_LOCK:
        return ask("x")


def nests_locks_by_a_helper(state):
    take_the_other()
    with LOCK:
        return {"b": take_the_other()}


def takes_two_permits(state):
    with PERMITS, PERMITS:
        return {"b": ask("x")}


async def nests_locks_of_a_loop(state):
    async with ASYNC_LOCK, OTHER_ASYNC_LOCK:
        return {"b": await ask_async("x")}


def waits_for_a_pool_in_its_own_thread(state):
    def outer():
        return POOL.submit(ask, "x").result()

    return {"b": POOL.submit(outer).result()}


def waits_for_a_pool_inside_of_a_lock(state):
    with LOCK:
        return {"b": POOL.submit(ask, "x").result()}


def takes_a_lock_of_a_loop_in_another_one(state):
    async def one():
        async with PACE:
            return await ask_async("x")

    return {"b": asyncio.run(one())}


def keeps_a_lock_in_a_stack(state):
    with contextlib.ExitStack() as stack:
        stack.enter_context(LOCK)
        return {"b": ask("x")}


@pytest.mark.parametrize(
    "node",
    [
        *(holds_a_lock_of_threads_and_awaits, holds_one_in_a_generator, nests_locks),
        *(nests_locks_by_a_helper, takes_two_permits, nests_locks_of_a_loop),
        *(waits_for_a_pool_in_its_own_thread, waits_for_a_pool_inside_of_a_lock),
        *(takes_a_lock_of_a_loop_in_another_one, keeps_a_lock_in_a_stack),
    ],
)
def test_nodes_that_could_wait_for_each_other_for_ever_do_not_run_together(node):
    assert not explain(graph_of(as_first(node), node)).is_parallel
    assert not explain(graph_of(as_first(node), node), mode="exact").is_parallel


def test_a_lock_held_while_awaiting_keeps_others_off_it():
    builder = graph_of(as_first(holds_a_lock_of_threads_and_awaits), takes_a_lock)
    assert not explain(builder).is_parallel


def test_locks_of_two_nodes_that_nest_others_leave_them_free():
    assert explain(graph_of(as_first(nests_locks), groups_tasks)).is_parallel


def count_on_threads(state):
    with ThreadPoolExecutor() as pool:
        futures = {pool.submit(len, topic): topic for topic in state["topics"]}
        found = {
            futures[future]: future.result() for future in concurrent.futures.as_completed(futures)
        }
    return {"b": str(sorted(found.items()))}


async def count_in_tasks(state):
    async def count(topic):
        async with asyncio.Semaphore(1):
            return len(topic)

    tasks = [asyncio.create_task(count(topic)) for topic in state["topics"]]
    return {"b": str(await asyncio.gather(*tasks))}


@pytest.mark.parametrize("mode", ["fanout", "exact"])
@pytest.mark.parametrize("node", [count_on_threads, count_in_tasks])
async def test_answers_are_those_of_the_original(node, mode):
    builder = graph_of(as_first(node), node)
    given = {"topics": ["x", "yy", "zzz"]}
    parallel = parallelize(builder, mode=mode)
    assert parallel.parallel_report.is_parallel
    assert await parallel.compile().ainvoke(given) == await builder.compile().ainvoke(given)


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_nobody_comes_sooner_upon_work_that_a_node_leaves_running(mode):
    def first(state):
        return {"a": ask(state["topics"][0])}

    def second(state):
        return {"b": ask(state["topics"][1])}

    report = explain(graph_of(leaves_a_pool, first, second), mode=mode)
    assert not report.is_parallel
    assert "left-running" in {refusal.rule for refusal in report.refusals}
