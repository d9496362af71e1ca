"""The examples run as they are, and a notebook holds the cells of its script."""

import json
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("[0-9]*.py"))


def cells_of_script(text):
    """Return kind and text of each cell of a percent script, without its header."""
    _, *parts = re.split(r"^# %%(.*)\n", text, flags=re.MULTILINE)
    for mark, body in zip(parts[::2], parts[1::2], strict=True):
        if mark.strip() == "[markdown]":
            body = re.sub(r"^# ?", "", body, flags=re.MULTILINE)
            yield "markdown", body.strip()
        else:
            yield "code", body.strip()


def cells_of_notebook(notebook):
    return [(cell["cell_type"], "".join(cell["source"]).strip()) for cell in notebook["cells"]]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_notebook_is_its_script_with_outputs(script):
    notebook = json.loads(script.with_suffix(".ipynb").read_text())
    name = f"examples/{script.stem}"
    remake = f"jupytext --to ipynb {name}.py && jupyter execute --inplace {name}.ipynb"
    assert cells_of_notebook(notebook) == list(cells_of_script(script.read_text())), remake
    outputs = [out for cell in notebook["cells"] for out in cell.get("outputs", ())]
    assert outputs, remake
    assert "error" not in {out["output_type"] for out in outputs}
    assert script.with_suffix(".ipynb").stat().st_size < 50_000


@pytest.mark.timeout(180)
def test_parallelize_script_runs_offline_and_keeps_the_answer(printed_by):
    printed = printed_by("01_parallelize")
    assert "Parallel: 5 -> 3 calls, predicted speed-up 1.67x" in printed
    assert "same answer: True" in printed
    assert '@effects(reads={"text"}, writes={"product"}, external="read")' in printed
    assert printed.endswith("(('summarize', 'look_up', 'find_mood'),) 3.00x\n")
    speedup = re.search(r"parallel [\d.]+ s: ([\d.]+)x", printed)
    assert speedup is not None
    assert float(speedup[1]) > 1.0


@pytest.mark.timeout(180)
def test_scheduler_script_runs_offline_and_serves_chats_first(printed_by):
    printed = printed_by("03_scheduler")
    assert re.findall(r"^(\w+) +[\d.]+ +[\d.]+$", printed, re.MULTILINE) == ["fcfs", "plas", "auto"]
    assert printed.count("c") > 3 * 10
    assert printed.endswith("chats wait less under plas: True\n")
