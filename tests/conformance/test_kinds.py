"""Kinds of program that once answered otherwise, each with its neighbours, in both modes."""

import threading

import programs_calls  # noqa: F401 (registers its programs)
import programs_classes  # noqa: F401
import programs_copies  # noqa: F401
import programs_models  # noqa: F401
import programs_names  # noqa: F401
import programs_objects  # noqa: F401
import programs_runs  # noqa: F401
import programs_syntax  # noqa: F401
import pytest
from programs import PROGRAMS, RUNS, observe


@pytest.mark.parametrize(("name", "mode"), RUNS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_both_modes_answer_as_the_original(name, mode, monkeypatch, caplog):
    errors = []
    monkeypatch.setattr(threading, "excepthook", errors.append)
    expected, found = observe(name, None), observe(name, mode)
    assert found == expected
    assert not errors
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_original_answers_alike_every_time(name):
    assert observe(name, None) == observe(name, None)
