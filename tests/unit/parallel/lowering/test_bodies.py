"""Independent calls inside of one function run together; everything else comes as it is written."""

import asyncio
import inspect
import pickle
import threading
import traceback
from typing import Annotated, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from langgraph_parallel import concurrent_calls, effects, explain, parallelize, record
from langgraph_parallel.concurrent import calls_of
from langgraph_parallel.errors import AnalysisError

CALLS: list[str] = []
GATE: Any = threading.Barrier(1)
LOCK = threading.Lock()


def gather(count):
    """Let calls go on only when `count` of them are made at a time."""
    global GATE
    CALLS.clear()
    GATE = threading.Barrier(count, timeout=10)


@effects(external="model")
def ask(prompt):
    with LOCK:
        CALLS.append(str(prompt))
    GATE.wait()
    if "boom" in str(prompt):
        raise ValueError(f"no answer to {prompt}")
    return f"<{prompt}>"


@effects(external="model")
async def ask_async(prompt):
    CALLS.append(prompt)
    await asyncio.sleep(1)
    return f"<{prompt}>"


class Model(BaseChatModel):
    @property
    def _llm_type(self):
        return "echo"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        said = " ".join(str(m.content) for m in messages)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"<{said}>", id="1"))])


llm = Model()


# -- what runs together ----------------------------------------------------------------------------


@concurrent_calls
def grades(docs: list[str], question: str) -> list[str]:
    """Grade documents."""
    out = []
    for doc in docs:
        prompt = f"{question} {doc}"
        out.append(ask(prompt))
    return out


@concurrent_calls
def listed(docs: list[str]) -> list[str]:
    return [ask(doc) for doc in docs if doc != "skip"]


@concurrent_calls
def in_a_row(question: str) -> tuple[str, str, str]:
    first = ask(question + "1")
    second = ask(question + "2")
    third = ask(question + "3")
    return first, second, third


@concurrent_calls
def in_one_dict(question: str) -> dict[str, str]:
    return {"a": ask(question + "1"), "b": ask(question + "2"), "c": ask(question + "3")}


@concurrent_calls
def counted(docs: list[str]) -> dict[str, str]:
    found, number = {}, 1
    for doc in docs:
        found[doc] = ask(f"{number}. {doc}")
        number += 1
    return found


@concurrent_calls
def paired(docs: list[str]) -> str:
    text = ""
    for number, doc in enumerate(docs):
        text += str(ask(f"{number} {doc}"))
    return text


@concurrent_calls
def guarded(docs: list[str]) -> list[str]:
    out = []
    for doc in docs:
        try:
            out.append(ask(doc))
        except ValueError as error:
            out.append(str(error))
    return out


@concurrent_calls
def skipping(docs: list[str]) -> list[str]:
    out = []
    for doc in docs:
        if not doc:
            continue
        out.append(ask(doc))
    return out


def helper(doc):
    return ask(f"{doc}?") + "!"


@concurrent_calls
def through_a_helper(docs: list[str]) -> list[str]:
    return [helper(doc) for doc in docs]


@concurrent_calls
def unannotated(docs):
    return [ask(f"{doc}") for doc in docs]


class Service:
    def __init__(self):
        self.style = "s"

    def one(self, doc):
        return ask(f"{self.style} {doc}")

    @concurrent_calls
    def all(self, docs):
        return [self.one(doc) for doc in docs]


THREE = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("function", "given"),
    [
        (grades, (THREE, "q")),
        (listed, (["a", "skip", "b", "c"],)),
        (in_a_row, ("q",)),
        (in_one_dict, ("q",)),
        (counted, (THREE,)),
        (paired, (THREE,)),
        (guarded, (THREE,)),
        (skipping, (["a", "", "b", "c"],)),
        (through_a_helper, (THREE,)),
        (unannotated, (THREE,)),
        (Service().all, (THREE,)),
    ],
)
def test_three_calls_are_made_at_a_time(function, given):
    gather(3)
    found = function(*given)
    asked = sorted(CALLS)
    gather(1)
    original = getattr(function, "__func__", function).__wrapped__
    owner = (function.__self__,) if hasattr(function, "__self__") else ()
    assert found == original(*owner, *given)
    assert asked == sorted(CALLS)


def test_calls_that_need_one_another_come_in_order_and_turns_together():
    @concurrent_calls
    def refined(docs: list[str]) -> list[str]:
        out = []
        for doc in docs:
            draft = ask(doc)
            out.append(ask(draft + "again"))
        return out

    gather(3)
    assert refined(THREE) == [f"<<{doc}>again>" for doc in THREE]


@pytest.mark.looptime
async def test_coroutines_wait_for_the_longest_and_not_for_the_sum():
    @concurrent_calls
    async def asked(docs: list[str]) -> list[str]:
        out = []
        for doc in docs:
            out.append(await ask_async(doc))
        last = await ask_async("last")
        return [*out, last]

    loop = asyncio.get_running_loop()
    before = loop.time()
    assert await asked(THREE) == ["<a>", "<b>", "<c>", "<last>"]
    assert loop.time() - before == pytest.approx(1)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_no_more_calls_are_made_at_a_time_than_allowed():
    running, most = 0, 0

    @effects(external="model")
    def busy(prompt):
        nonlocal running, most
        with LOCK:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.001)
        with LOCK:
            running -= 1
        return prompt

    namespace = {"busy": busy, "concurrent_calls": concurrent_calls}

    @concurrent_calls(max_calls=3)
    def asked(docs: list[str]) -> list[str]:
        return [busy(doc) for doc in docs]

    assert namespace
    assert asked([str(n) for n in range(20)]) == [str(n) for n in range(20)]
    assert most <= 3


# -- what keeps its place --------------------------------------------------------------------------


def test_an_error_comes_at_its_own_line_after_what_came_before_it():
    seen = []

    def shown(docs: list[str]):
        for doc in docs:
            answer = ask(doc)
            seen.append(answer)

    gather(1)
    lines = []
    for function in (shown, concurrent_calls(shown)):
        seen.clear()
        with pytest.raises(ValueError, match="no answer to boom") as caught:
            function(["a", "boom", "c"])
        assert seen == ["<a>"]
        here = shown.__code__.co_filename
        trace = traceback.extract_tb(caught.value.__traceback__)
        lines.append(
            [part.lineno for part in trace if part.filename == here and part.name == "shown"]
        )
    assert lines[0] == lines[1]
    assert not [
        t for t in threading.enumerate() if t.name.startswith("langgraph-early") and _busy(t)
    ]


def _busy(thread):
    thread.join(1)
    return thread.is_alive()


def told(function):
    return calls_of(concurrent_calls(function))


def history(docs: list[str]):
    said = []
    for doc in docs:
        said.append(ask(" ".join(said) + doc))
    return said


def until_enough(docs: list[str]):
    out = []
    for doc in docs:
        answer = ask(doc)
        if "enough" in answer:
            break
        out.append(answer)
    return out


def paced(docs: list[str]):
    import time

    out = []
    for doc in docs:
        out.append(ask(doc))
        time.sleep(1)
    return out


def written(docs: list[str]):
    out = []
    for doc in docs:
        out.append(ask(doc))
        with open("log.txt", "a") as log:
            log.write(doc)
    return out


def with_inner_function(docs: list[str]):
    seen = []

    def fresh(doc):
        seen.append(doc)
        return ask(doc)

    return [fresh(doc) for doc in docs]


def under_a_lock(docs: list[str]):
    out = []
    for doc in docs:
        with LOCK:
            out.append(ask(doc))
    return out


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (history, "depend on an earlier turn"),
        (until_enough, "may break"),
        (paced, "waits in"),
        (written, "to write"),
        (with_inner_function, "shares its variables"),
        (under_a_lock, "waits for a lock"),
    ],
)
def test_turns_that_hang_together_stay_in_order_and_the_reason_is_told(function, reason):
    assert "start together" not in told(function)
    assert reason in told(function)


def test_an_argument_that_was_changed_meanwhile_is_asked_again():
    def grow(docs: list[list[str]]):
        out = []
        for doc in docs:
            out.append(ask(str(doc)))
            docs[-1] = [*docs[-1], "new"]
        return out

    gather(1)
    given = [["a"], ["b"], ["c"]]
    assert concurrent_calls(grow)([*given]) == grow([*given])


def test_an_argument_in_a_result_is_the_argument_itself():
    def kept(docs: list[dict[str, str]]):
        out = []
        for doc in docs:
            out.append(with_answer(doc))
        return out

    gather(1)
    docs = [{"t": "a"}, {"t": "b"}, {"t": "c"}]
    found = concurrent_calls(kept)(docs)
    assert all(pair[0] is doc for pair, doc in zip(found, docs, strict=True))


def with_answer(doc):
    return doc, ask(doc["t"])


def test_a_function_that_was_exchanged_meanwhile_is_called_as_it_is_written(monkeypatch):
    gather(1)
    assert unannotated(["a", "b"]) == ["<a>", "<b>"]
    answers = iter(["one", "two", "three"])
    monkeypatch.setitem(globals(), "ask", lambda _prompt: next(answers))
    assert unannotated(["a", "b", "c"]) == ["one", "two", "three"]


def test_what_is_no_data_is_not_taken_for_data():
    class Odd:
        def __format__(self, spec):
            CALLS.append("formatted")
            return "odd"

    gather(1)
    unannotated([Odd(), Odd()])
    assert CALLS == ["formatted", "odd"] * 2


def test_a_generator_goes_on_after_an_error():
    @concurrent_calls
    def some(docs):
        out = []
        pending = (doc for doc in docs)
        try:
            for doc in pending:
                out.append(ask(doc))
        except ValueError:
            out.append("?")
        return [*out, *pending]

    gather(1)
    assert some(["a", "boom", "c"]) == ["<a>", "?", "c"]


@pytest.mark.looptime
async def test_a_coroutine_that_is_closed_or_cancelled_leaves_nothing_behind():
    @concurrent_calls
    async def asked(docs: list[str]) -> list[str]:
        return [await ask_async(doc) for doc in docs]

    task = asyncio.ensure_future(asked(THREE))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
    coroutine = asked(THREE)
    coroutine.send(None)
    coroutine.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


# -- the function itself ---------------------------------------------------------------------------


def test_a_function_looks_as_before():
    assert grades.__name__ == "grades"
    assert grades.__doc__ == "Grade documents."
    assert str(inspect.signature(grades)) == "(docs: list[str], question: str) -> list[str]"
    assert "for doc in docs:" in inspect.getsource(grades)
    assert pickle.loads(pickle.dumps(grades)) is grades


@pytest.mark.parametrize("wrong", [len, Service, staticmethod(helper), 3])
def test_what_is_no_function_is_refused(wrong):
    with pytest.raises(AnalysisError, match="marks a function or method"):
        concurrent_calls(wrong)


def test_a_limit_below_one_is_refused():
    with pytest.raises(AnalysisError, match="at least 1"):
        concurrent_calls(max_calls=0)


# -- in graphs -------------------------------------------------------------------------------------


class State(TypedDict, total=False):
    docs: list[str]
    question: str
    grades: list[str]
    text: str
    log: Annotated[list[str], lambda a, b: a + b]


def grade(state: State):
    out = []
    for doc in state["docs"]:
        answer = llm.invoke([SystemMessage(state["question"]), HumanMessage(doc)])
        out.append(answer.content)
    return {"grades": out}


def write(state: State, config):
    first = llm.invoke(f"a {state['grades']}", config)
    second = llm.invoke(f"b {state['docs']}", config=config)
    return {"text": first.content + second.content}


def graph():
    builder = StateGraph(State)
    builder.add_sequence([grade, write])
    builder.add_edge(START, "grade")
    builder.add_edge("write", END)
    return builder


class Told(BaseCallbackHandler):
    def __init__(self):
        self.told = []

    def on_chat_model_start(self, serialized, messages, *, metadata=None, **_):
        self.told.append(("start", messages[0][-1].content, metadata["langgraph_node"]))

    def on_llm_end(self, response, **_):
        self.told.append(("end", response.generations[0][0].text))


GIVEN = {"docs": THREE, "question": "q"}


@pytest.mark.parametrize("mode", ["fanout", "exact"])
def test_callbacks_and_streams_tell_of_calls_in_program_order(mode):
    shown = []
    for made in (graph().compile(), parallelize(graph().compile(), mode=mode, inside=True)):
        handler = Told()
        modes = ["updates", "values", "messages", "custom"]
        parts = list(made.stream(GIVEN, {"callbacks": [handler]}, stream_mode=modes))
        texts = [
            (kind, (part[0].content, part[1]["langgraph_node"]) if kind == "messages" else part)
            for kind, part in parts
        ]
        shown.append((handler.told, texts))
    assert shown[0] == shown[1]


def test_the_report_names_each_call_and_its_reason():
    report = explain(graph(), inside=True)
    text = str(report)
    assert report.is_parallel_inside
    assert "calls run together inside of grade, write" in text
    assert "llm.invoke(): all turns of line" in text
    (body,) = report.bodies["grade"]
    assert [call.starts for call in body.calls] == ["turns"]


def test_nothing_is_looked_at_inside_without_being_asked():
    assert explain(graph()).bodies == {}
    assert parallelize(graph()).parallel_report.bodies == {}


def test_max_concurrency_of_a_run_bounds_the_calls_in_a_node():
    @effects(external="model")
    def single(prompt):
        assert not BUSY.locked()
        with BUSY:
            return prompt

    def node(state: State):
        return {"grades": [single(doc) for doc in state["docs"]]}

    builder = StateGraph(State)
    builder.add_node(node)
    builder.add_edge(START, "node")
    made = parallelize(builder.compile(), inside=True)
    assert made.invoke(GIVEN, {"max_concurrency": 1})["grades"] == THREE


BUSY = threading.Lock()


def test_a_recording_counts_the_calls_of_each_line():
    recording = record(graph().compile())
    recording.graph.invoke(GIVEN)
    report = explain(graph(), inside=True, recording=recording)
    (body,) = report.bodies["grade"]
    assert body.in_a_row == (3, 1)
    assert "3 calls in a row -> 1" in str(report)


def test_the_page_and_the_dictionary_show_each_call():
    report = explain(graph(), inside=True)
    page = report._repr_html_()
    assert "all turns of line" in page
    assert "for doc in state[&quot;docs&quot;]" in page
    (body,) = report.to_dict()["bodies"]["grade"]
    assert body["calls"][0]["starts"] == "turns"


# -- what is another one on a thread of its own ----------------------------------------------------

OWN = ["own"]
LOCAL = threading.local()


def asks_identity(doc):
    return ask(f"{doc is OWN}")


def asks_by_id(doc):
    return ask(f"{id(doc) == id(OWN)}")


def asks_its_thread(doc):
    return ask(f"{getattr(LOCAL, 'user', 'none')} {doc}")


def asks_who_runs_it(doc):
    return ask(f"{threading.get_ident() == MAIN} {doc}")


def asks_what_failed(doc):
    return ask(f"{traceback.format_exc(limit=0)} {doc}")


def raises_again(doc):
    ask(doc)
    raise


MAIN = threading.get_ident()
BY_PLACE = (asks_identity, asks_by_id, asks_its_thread, asks_who_runs_it, asks_what_failed)


@pytest.mark.parametrize("helper", [*BY_PLACE, raises_again])
def test_a_call_that_depends_on_where_it_runs_stays_there(helper):
    def asked(docs):
        out = []
        for doc in docs:
            out.append(helper(doc))
        return out

    gather(1)
    LOCAL.user = "bob"
    shown = []
    for function in (asked, concurrent_calls(asked)):
        CALLS.clear()
        try:
            int("zz")
        except ValueError:
            try:
                shown.append(function([["own"], OWN, "c"]))
            except ValueError as error:
                shown.append(str(error))
    assert shown[0] == shown[1]
    assert "start together" not in calls_of(asked)


def test_an_error_keeps_what_led_to_it_and_what_was_handled_then():
    def failing(docs):
        try:
            return {}[docs[0]]
        except KeyError:
            return [wrapped(doc) for doc in docs]

    def chain(function):
        with pytest.raises(RuntimeError) as caught:
            function(["a", "boom"])
        found, error = [], caught.value
        while error is not None:
            found.append(type(error))
            error = error.__context__
        return found

    gather(1)
    assert chain(concurrent_calls(failing)) == chain(failing)
    assert chain(failing) == [RuntimeError, ValueError, KeyError]


def wrapped(doc):
    try:
        return ask(doc)
    except ValueError as error:
        raise RuntimeError("wrapped") from error


async def each(docs):
    for doc in docs:
        yield await ask_async(doc)


@pytest.mark.looptime
async def test_what_is_looped_over_asynchronously_stays_in_its_coroutine():
    @concurrent_calls
    async def asked(docs: list[str]):
        first = await ask_async("first")
        return first, [answer async for answer in each(docs)]

    assert await asked(THREE) == ("<first>", ["<a>", "<b>", "<c>"])


def kept_in(box):
    return box["items"]


def test_a_wrong_forecast_costs_a_call_and_no_answer():
    def asked(docs: list[str]):
        box: dict[str, list[str]] = {"items": []}
        items = kept_in(box)
        out = []
        for doc in docs:
            out.append(ask(" ".join(items) + doc))
            box["items"].append(doc)
        return out

    gather(1)
    rewritten = concurrent_calls(asked)
    assert rewritten(THREE) == asked(THREE)
    assert rewritten(THREE) == ["<a>", "<ab>", "<a bc>"]


def test_a_helper_whose_own_helper_was_exchanged_is_called_in_turn(monkeypatch):
    gather(1)
    assert through_a_helper(["a", "b"]) == ["<a?>!", "<b?>!"]
    answers = iter(["one", "two", "three"])
    given = []

    def scripted(prompt):
        given.append(prompt)
        return next(answers)

    monkeypatch.setitem(globals(), "ask", scripted)
    assert through_a_helper(["a", "b", "c"]) == ["one!", "two!", "three!"]
    assert given == ["a?", "b?", "c?"]


# -- what each call is told, and what it may use ---------------------------------------------------


def test_a_call_gets_the_configuration_that_it_is_given():
    def node(state: State, config):
        own = {**config, "tags": ["grader"], "metadata": {**config["metadata"], "by": "grader"}}
        return {"grades": [llm.invoke(doc, own).content for doc in state["docs"]]}

    class Tags(BaseCallbackHandler):
        def __init__(self):
            self.seen = []

        def on_chat_model_start(self, serialized, messages, *, tags=None, metadata=None, **_):
            self.seen.append((messages[0][0].content, "grader" in tags, metadata.get("by")))

    builder = StateGraph(State).add_node("node", node).add_edge(START, "node")
    shown = []
    for made in (builder.compile(), parallelize(builder.compile(), inside=True)):
        handler = Tags()
        made.invoke(GIVEN, {"callbacks": [handler]})
        shown.append(handler.seen)
    assert shown[0] == [(doc, True, "grader") for doc in THREE]
    assert shown[1] == shown[0]


@effects(external="read", resources="scanner")
def scan(doc):
    return ask(doc)


def test_what_only_one_may_use_at_a_time_is_used_by_one_at_a_time():
    def scanned(docs: list[str]):
        return [scan(doc) for doc in docs]

    assert "start together" not in told(scanned)
    assert "scanner" in told(scanned)


def test_a_coroutine_that_no_event_loop_runs_is_run_as_it_is():
    @effects(external="model")
    async def at_once(prompt):
        return prompt

    @concurrent_calls
    async def asked(docs: list[str]):
        return [await at_once(doc) for doc in docs]

    with pytest.raises(StopIteration) as ended:
        asked(THREE).send(None)
    assert ended.value.value == THREE


def test_a_generator_stays_one():
    @concurrent_calls
    def answers(docs: list[str]):
        for doc in docs:
            yield ask(doc)

    gather(1)
    assert inspect.isgeneratorfunction(answers)
    assert list(answers(["a"])) == ["<a>"]
    assert "generator" in calls_of(answers)


def test_a_marked_function_is_understood_as_a_node():
    @concurrent_calls
    def node(state: State):
        return {"grades": [llm.invoke(doc).content for doc in state["docs"]]}

    builder = StateGraph(State).add_node("node", node).add_edge(START, "node")
    found = explain(builder).effects["node"]
    assert (found.reads, found.writes) == ({"docs"}, {"grades"})


def test_the_report_counts_what_was_run_ahead_and_says_why_nothing_was():
    gather(3)
    function = concurrent_calls(helper_free)
    function(THREE)
    assert "calls made ahead so far: 2, of use: 2" in calls_of(function)
    gather(1)
    function(iter(THREE))
    assert "nothing started the last time: what its loop goes through" in calls_of(function)
    made = parallelize(graph().compile(), inside=True)
    made.invoke(GIVEN)
    (body,) = made.parallel_report.bodies["grade"]
    assert body.runtime.made == body.runtime.taken
    assert body.runtime.missed == 0


def helper_free(docs: Any):
    return [ask(doc) for doc in docs]
