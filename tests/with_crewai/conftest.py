"""CrewAI without its telemetry, its prompts and its files; nothing is collected without CrewAI."""

import gc
import importlib.util
import os
import warnings

import pytest

for _name, _value in {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_TESTING": "true",
    "OTEL_SDK_DISABLED": "true",
}.items():
    os.environ[_name] = _value

if importlib.util.find_spec("crewai") is None:
    collect_ignore_glob = ["*.py"]
else:
    with warnings.catch_warnings():
        # What CrewAI's own imports warn of is not ours.
        warnings.simplefilter("ignore")
        import crewai  # noqa: F401


def pytest_collection_modifyitems(items):
    for item in items:
        if "with_crewai" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.fixture(autouse=True)
def _own_storage(tmp_path, monkeypatch):
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def _clients_are_collected():
    """Collect the clients that CrewAI's models leave open while their complaints are not heard."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
