"""The README's Python runs as written, on an embedded engine."""

import re
from pathlib import Path

import pytest

from langgraph_rsm.emulation import serve

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def server():
    with serve("gpu-8b", speed=50) as running:
        yield running


def test_python_blocks_run_in_order(server, tmp_path, capsys):
    text = README.read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 7
    source = "\n".join(blocks).replace("http://127.0.0.1:8000/v1", server.base_url)
    script = tmp_path / "app.py"
    script.write_text(source)
    exec(compile(source, str(script), "exec"), {"__name__": "readme"})
    out = capsys.readouterr().out
    promised = re.search(r"```text\n(.*?)  \.\.\.\n", text, re.DOTALL)
    assert promised is not None
    assert promised[1] in out
    assert "[['flights', 'hotels'], ['offer']]" in out
    assert "EngineSnapshot(engine_id=" in out
