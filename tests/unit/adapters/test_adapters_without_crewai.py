"""The CrewAI adapter loads CrewAI only when it is used, and says so when it is not there."""

import subprocess
import sys

import pytest

from langgraph_parallel import AnalysisError
from langgraph_parallel.adapters import crewai


def test_adapters_load_neither_framework():
    code = (
        "import sys; from langgraph_parallel.adapters import crewai, deerflow;"
        "sys.exit(bool({'crewai', 'src'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_crewai_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "crewai", None)
    with pytest.raises(AnalysisError, match=r"pip install 'langgraph-accel\[crewai\]'"):
        crewai.parallelize(object())
