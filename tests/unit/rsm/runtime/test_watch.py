"""What servers say of themselves, who asks them, and how often."""

import json
import threading

import pytest
from langchain_openai import ChatOpenAI
from scripted_model import ScriptedModel

from langgraph_rsm import Engine, Scheduler, SchedulerConfig
from langgraph_rsm.runtime import watch as watching
from langgraph_rsm.runtime.clients import adapt_options, server_of
from langgraph_rsm.runtime.metrics_page import read_metrics
from langgraph_rsm.runtime.servers import root_of
from langgraph_rsm.runtime.watch import GoneError, Inquiry, Watch, facts_at, forget, priority_sign

VLLM = """
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 1.0
vllm:num_requests_waiting{engine="0",model_name="m"} 7.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:prefix_cache_queries_total{engine="0"} 200
vllm:prefix_cache_hits_total{engine="0"} 50
vllm:cache_config_info{block_size="16",num_gpu_blocks="1000",engine="0"} 1.0
vllm:time_to_first_token_seconds_bucket{le="0.1"} 5
nonsense } {
vllm:odd NaN
"""
SGLANG = "sglang:num_running_reqs 2\nsglang:num_queue_reqs 5\nsglang:token_usage 0.5\n"
SGLANG_INFO = {"version": "0.5.23", "max_running_requests": 48, "enable_priority_scheduling": True}
SLOTS = [{"id": 0, "is_processing": True}, {"id": 1, "is_processing": False}]
PROPS = {"total_slots": 2, "build_info": "b5000"}
KINDS = [
    ({"/metrics": VLLM, "/version": {"version": "0.32.0"}}, "vllm 0.32.0", None, 16000, 1, (4, 7)),
    ({"/metrics": SGLANG, "/server_info": SGLANG_INFO}, "sglang 0.5.23", 48, None, -1, (2, 5)),
    ({"/props": PROPS, "/slots": SLOTS}, "llama.cpp b5000", 2, None, 0, (1, None)),
    ({"/api/version": {"version": "0.9"}}, "ollama 0.9", None, None, 0, None),
    ({"/health/readiness": {"litellm_version": "1.80"}}, "litellm 1.80", None, None, 0, None),
    ({"/metrics": "tgi_queue_size 4\ntgi_batch_current_size 8\n"}, "tgi", None, None, 0, (8, 4)),
]


def pages(root, said):
    asked = []

    def get(url):
        asked.append(url.removeprefix(root))
        page = said.get(asked[-1])
        return page if page is None or isinstance(page, str) else json.dumps(page)

    return get, asked


@pytest.fixture
def root(request):
    where = f"http://{abs(hash(request.node.nodeid))}"
    yield where
    forget(where)


@pytest.mark.parametrize(("said", "name", "seats", "kv", "sign", "load"), KINDS)
def test_each_kind_of_server_is_known(root, said, name, seats, kv, sign, load):
    get, asked = pages(root, said)
    inquiry = Inquiry(root, get, 0.0)
    readings = []
    for _ in range(9):
        before = len(asked)
        more = inquiry.ask()
        assert len(asked) - before <= 1
        if inquiry.reading is not None:
            readings.append((inquiry.reading.running, inquiry.reading.waiting))
        if not more:
            break
    facts = facts_at(root)
    assert (facts.name, facts.seats, facts.kv_tokens) == (name, seats, kv)
    assert priority_sign(root) == sign
    assert readings[-1:] == ([] if load is None else [load])
    assert more == (load is not None)


@pytest.mark.parametrize("page", ["", "<html>", "[]", "[" * 10_000, '{"status": "ok"}', "up 1\n"])
def test_a_stranger_is_asked_once_and_left_alone(root, page):
    said = dict.fromkeys(["/metrics", "/props", "/api/version", "/info", "/server_info"], page)
    get, asked = pages(root, said)
    inquiry = Inquiry(root, get, 0.0)
    while inquiry.ask():
        pass
    assert len(asked) == len(set(asked)) == 6
    assert facts_at(root) is None
    assert Inquiry(root, get, 0.0).ask() is False
    assert len(asked) == 6


def test_vllm_metrics_are_summed_over_engines():
    page = read_metrics(VLLM)
    assert page.first("vllm:num_requests_running") == 4
    assert page.ratio("vllm:prefix_cache_hits", "vllm:prefix_cache_queries") == 0.25


def test_two_schedulers_ask_a_server_once_a_second(root):
    get, asked = pages(root, {"/metrics": VLLM})
    first, second = (Inquiry(root, get, 60.0) for _ in range(2))
    assert first.ask()
    assert second.ask()
    assert asked == ["/metrics"]
    assert second.reading.waiting == 7


class Calls:
    """Calls out at a server, one less each time that somebody looks."""

    def __init__(self, looks):
        self.looks = looks

    def __call__(self, _root):
        self.looks -= 1
        return 2 if self.looks > 0 else 0


def play(root, get, looks=8):
    told, done = [], threading.Event()
    watch = Watch(Calls(looks), lambda *what: told.append(what), get, every_s=0.0)
    watch.call_began(root)
    for thread in threading.enumerate():
        if thread.name == "langgraph_rsm watch":
            thread.join(10)
    done.set()
    return told


def test_readings_are_told_while_calls_are_out(root):
    get, asked = pages(root, {"/metrics": VLLM})
    told = play(root, get)
    assert [(where, facts.kind, reading.waiting) for where, facts, reading in told[:1]] == [
        (root, "vllm", 7)
    ]
    assert len(asked) == 6  # the first look is whether it is worth a thread, the last one ends it


def test_a_call_that_is_alone_is_no_reason_to_ask(root):
    get, asked = pages(root, {"/metrics": VLLM})
    watch = Watch(lambda _: 1, lambda *_: None, get, every_s=0.0)
    watch.call_began(root)
    assert asked == []


def test_a_server_that_was_away_is_found_out_anew(root):
    get, _ = pages(root, {"/metrics": VLLM})
    play(root, get)

    def gone(url):
        raise GoneError(url)

    play(root, gone)
    assert facts_at(root) is None
    get, _ = pages(root, {"/metrics": SGLANG})
    play(root, get)
    assert facts_at(root).kind == "sglang"


def test_what_goes_wrong_in_asking_is_nobodys_concern(root):
    def broken(_url):
        raise ZeroDivisionError

    assert play(root, broken) == []


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://h:8000/v1", "http://h:8000"),
        ("http://user:SECRET@h:8000/v1/?key=SECRET", "http://h:8000"),
        ("https://h/llm/v1", "https://h/llm"),
        ("https://api.openai.com/v1", None),
        ("https://x.openai.azure.com/", None),
        ("unix:/socket", None),
        ("http://[", None),
        (None, None),
    ],
)
def test_where_a_server_is_asked(url, where):
    assert root_of(url) == where


def client(**settings):
    return ChatOpenAI(base_url="http://h:8000/v1", model="m", api_key="SECRET", **settings)


def test_only_clients_of_known_protocols_are_asked_for():
    assert server_of(client()) == "http://h:8000"
    assert server_of(ScriptedModel(base_url="http://h:8000/v1")) is None


def test_asking_can_be_turned_off():
    for asks in (True, False):
        scheduler = Scheduler(config=SchedulerConfig(ask_engines=asks))
        engine = scheduler.register(Engine(client()))
        assert scheduler.server_at(engine.engine_id) == ("http://h:8000" if asks else None)


@pytest.mark.parametrize(
    ("settings", "options", "body"),
    [
        ({}, {}, {"priority": 16}),
        ({"extra_body": {"a": 1}}, {}, {"a": 1, "priority": 16}),
        ({"extra_body": {"priority": 3}}, {}, {"priority": 3}),
        ({"extra_body": {"a": 1}}, {"extra_body": {"priority": 0}}, {"a": 1, "priority": 0}),
    ],
)
def test_our_priority_is_never_over_the_users_own(settings, options, body):
    adapted = adapt_options(client(**settings), options, usage=False, priority=16)
    assert adapted["extra_body"] == body
    assert "extra_body" not in adapt_options(client(**settings), {}, usage=False)


def test_no_key_is_sent(monkeypatch):
    seen = []

    def open_(self, request, timeout):
        seen.append(request)
        raise OSError

    monkeypatch.setattr("urllib.request.OpenerDirector.open", open_)
    with pytest.raises(GoneError):
        watching.get_page("http://h:8000/metrics")
    assert seen == ["http://h:8000/metrics"]
