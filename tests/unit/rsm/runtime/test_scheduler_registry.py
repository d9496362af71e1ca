"""Schedulers by name and by file."""

import pytest

from langgraph_rsm import ConfigError, ScheduledChatOpenAI, SchedulerConfig, get_scheduler


def test_one_name_is_one_scheduler():
    assert get_scheduler("a") is get_scheduler("a")
    assert get_scheduler("a") is not get_scheduler("b")


def test_settings_are_fixed_by_the_first_call():
    get_scheduler("fixed", config=SchedulerConfig(max_wait_s=5))
    get_scheduler("fixed", config=SchedulerConfig(max_wait_s=5))
    with pytest.raises(ConfigError, match="exists with other settings"):
        get_scheduler("fixed", config=SchedulerConfig(max_wait_s=6))


def test_file_gives_the_settings_and_is_the_name(tmp_path, monkeypatch):
    path = tmp_path / "rsm.toml"
    path.write_text('policy = "fcfs"\ndefault_capacity = 3\n')
    scheduler = get_scheduler(str(path))
    assert (scheduler.config.policy, scheduler.config.default_capacity) == ("fcfs", 3)
    monkeypatch.chdir(tmp_path)
    assert get_scheduler("rsm.toml") is scheduler
    model = ScheduledChatOpenAI(model="m", api_key="none", scheduler=str(path))
    assert model.scheduler == str(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read"),
        ("policy =", "not a TOML file"),
        ("polizy = 1", "polizy: Extra inputs"),
        ("max_wait_s = -1", "max_wait_s: .*greater than 0"),
    ],
)
def test_bad_files_are_explained(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        get_scheduler(str(path))
