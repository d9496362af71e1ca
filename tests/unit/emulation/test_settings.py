import subprocess
import sys

import pytest

from langgraph_rsm.__main__ import main
from langgraph_rsm.emulation import ProfileError
from langgraph_rsm.emulation.embedded import format_url
from langgraph_rsm.emulation.errors import RateLimitedError
from langgraph_rsm.emulation.faults import FaultKind, FaultPlan, RequestRateLimit
from langgraph_rsm.emulation.settings import build_settings


def test_options_go_to_profile_and_server():
    settings = build_settings("tiny-cpu", max_num_seqs=3, seed=4, fault_kinds=["cut"], model=None)
    assert (settings.profile.max_num_seqs, settings.seed) == (3, 4)
    assert settings.fault_kinds == (FaultKind.CUT,)
    assert settings.model_name == "tiny-cpu"


@pytest.mark.parametrize(
    "options",
    [{"sped": 2}, {"fault_rate": 1.5}, {"max_queue": 0}, {"rate_limit_rpm": 0}, {"stall_s": -1}],
)
def test_wrong_option_is_named(options):
    with pytest.raises(ProfileError, match=next(iter(options))):
        build_settings("gpu-8b", **options)


def draws(seed, rate=0.3, kinds=tuple(FaultKind)):
    plan = FaultPlan(rate=rate, kinds=kinds, seed=seed)
    return [plan.draw() for _ in range(1000)]


def test_faults_are_the_same_for_the_same_seed():
    assert draws(1) == draws(1) != draws(2)


def test_faults_have_the_asked_rate_and_kinds():
    faults = [fault for fault in draws(1) if fault]
    assert 250 < len(faults) < 350
    assert {fault.kind for fault in faults} == set(FaultKind)
    assert {fault.kind for fault in draws(1, kinds=(FaultKind.CUT,)) if fault} == {FaultKind.CUT}
    assert not any(draws(1, rate=0.0))


def test_rate_limit_allows_a_minute_at_once_and_then_a_steady_rate():
    limit = RequestRateLimit(2, now_s=0.0)
    assert limit.take(0.0)["x-ratelimit-remaining-requests"] == "1"
    limit.take(0.0)
    with pytest.raises(RateLimitedError) as caught:
        limit.take(10.0)
    assert caught.value.headers["retry-after"] == "20"
    assert caught.value.headers["x-ratelimit-limit-requests"] == "2"
    limit.take(30.0)


def test_url_brackets_an_ipv6_address():
    assert format_url("::1", 80) == "http://[::1]:80/v1"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--profile", "h100"],
            "unknown profile 'h100'; choose one of gpu-8b, small-cpu, tiny-cpu",
        ),
        (["--fault-rate", "2"], "fault_rate is 2.0; it must be between 0 and 1"),
    ],
)
def test_command_refuses_wrong_options_in_one_line(arguments, line, capsys):
    assert main(["emulate", *arguments]) == 1
    assert capsys.readouterr().err == f"{line}\n"


def test_model_and_settings_need_no_aiohttp():
    code = "import sys, langgraph_rsm.emulation as e; e.serve(); sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_aiohttp_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "langgraph_rsm.emulation.server", raising=False)
    assert main(["emulate", "--port", "0"]) == 1
    assert "pip install 'langgraph-accel[emulate]'" in capsys.readouterr().err
