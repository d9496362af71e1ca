"""What is refused at the door, each with one clear line."""

import math

import pytest
from scripted_model import ScriptedModel

from langgraph_rsm import (
    ConfigError,
    Engine,
    ScheduledChatModel,
    Scheduler,
    SchedulerConfig,
    get_scheduler,
    program,
    schedule,
)
from langgraph_rsm.config import ServiceMeter
from langgraph_rsm.core.events import EngineLimits


def refused(make, *words):
    with pytest.raises(ConfigError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("name", ["plas", "ATLAS", "auto", "fcfs"])
def test_the_name_of_a_policy_is_no_scheduler(name):
    model = ScriptedModel()
    policy = f"Scheduler({name.lower()!r})"
    refused(lambda: ScheduledChatModel(inner=model, scheduler=name), "policy", policy)
    refused(lambda: schedule(model, scheduler=name), policy)
    refused(lambda: get_scheduler(name), policy)


@pytest.mark.parametrize("name", ["rsm.yaml", "rsm.yml", "a/rsm.json", "rsm.ini", "rsm.TOML"])
def test_settings_are_read_from_toml_only(name):
    refused(lambda: schedule(ScriptedModel(), scheduler=name), name, ".toml file only")


def test_other_names_are_names():
    assert get_scheduler("team-a/model-1.5").name == "team-a/model-1.5"


@pytest.mark.parametrize("hooks", [[3], 3, [print, None]])
def test_hooks_are_functions(hooks):
    refused(lambda: Scheduler(hooks=hooks), "hooks=", "functions that take a record")


@pytest.mark.parametrize("config", [{"policy": "plas"}, "rsm.toml", 3])
def test_a_configuration_is_one(config):
    refused(lambda: Scheduler(config=config), "config=", "SchedulerConfig")


def test_a_policy_is_one():
    refused(lambda: Scheduler(3), "policy=3")


@pytest.mark.parametrize("capacity", ["8", 8.0, 0, -1, True])
def test_a_capacity_is_a_whole_number_from_1(capacity):
    refused(lambda: Engine(ScriptedModel(), capacity=capacity), "at least 1")
    refused(lambda: schedule(ScriptedModel(), capacity=capacity), "at least 1")


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan, "7"])
def test_limits_are_numbers_above_0(value):
    limits = EngineLimits(requests_per_minute=value)
    refused(lambda: Engine(ScriptedModel(), limits=limits), "requests_per_minute")


def test_limits_and_names_are_of_their_kind():
    refused(lambda: Engine(ScriptedModel(), limits={"requests_per_minute": 3}), "EngineLimits(")
    refused(lambda: Engine(ScriptedModel(), name=3), "name=3")


@pytest.mark.parametrize("weight", [0, -1, math.inf, math.nan])
def test_weights_are_above_0(weight):
    refused(lambda: SchedulerConfig(tenant_weights={"free": weight}), "tenant_weights.free")
    refused(lambda: program(weight=weight).__enter__(), "weight")


@pytest.mark.parametrize("name", ["queue_timeout_s", "call_timeout_s", "retry_cap_s"])
@pytest.mark.parametrize("value", [math.inf, math.nan, -1])
def test_times_out_are_finite(name, value):
    refused(lambda: SchedulerConfig(**{name: value}), name)


def test_what_may_be_turned_off_by_infinity_still_may():
    assert SchedulerConfig(max_wait_s=math.inf, beta=math.inf).beta == math.inf


def test_prices_are_at_least_0():
    refused(lambda: ServiceMeter(prefill_s=-1), "prices")


def test_no_setting_does_nothing():
    refused(lambda: SchedulerConfig(preemption_levels=1), "preemption_levels")
