"""A function's own tree is found wherever its code was compiled, and no other."""

from __future__ import annotations
import __future__

import ast
import asyncio
import doctest
import importlib
import linecache
import sys
import zipfile
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from langgraph_parallel.inference.code.source import find_source

_IMPORTS_AND_USES = """import json
from collections import OrderedDict
def node(state):
    return {"a": json.dumps(state), "b": OrderedDict.fromkeys(state)}
"""


def _remember(name: str, text: str) -> None:
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)


def _run(name: str, text: str, *, by_statement: bool, flags: int = 0) -> Any:
    """Run a text as a notebook or an `exec` does; return what it calls `node`."""
    body = ast.parse(text, name).body
    modules = [ast.Module([part], []) for part in body] if by_statement else [ast.Module(body, [])]
    namespace: dict[str, Any] = {}
    for module in modules:
        waiting = eval(compile(module, name, "exec", flags, dont_inherit=True), namespace)
        if waiting is not None:
            asyncio.run(waiting)
    return namespace["node"]


def test_cell_of_a_notebook_that_imports_and_uses_a_name_is_found() -> None:
    _remember("<cell 1>", _IMPORTS_AND_USES)
    for by_statement in (True, False):
        source = find_source(_run("<cell 1>", _IMPORTS_AND_USES, by_statement=by_statement))
        assert source is not None
        assert source.node.lineno == 3


def test_cell_that_waits_at_its_top_is_found() -> None:
    text = "async def wait(): ...\nif 0:\n    await wait()\ndef node(state):\n    return {}\n"
    _remember("<cell 2>", text)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    assert find_source(_run("<cell 2>", text, by_statement=False, flags=flags)) is not None


def test_code_compiled_with_features_of_the_future_of_another_cell_is_found() -> None:
    text = "def node(state: Unknown):\n    return {}\n"
    _remember("<cell 3>", text)
    flags = __future__.annotations.compiler_flag
    assert find_source(_run("<cell 3>", text, by_statement=True, flags=flags)) is not None


def test_text_that_is_no_longer_what_was_compiled_is_not_taken() -> None:
    node = _run("<cell 4>", _IMPORTS_AND_USES, by_statement=True)
    _remember("<cell 4>", _IMPORTS_AND_USES.replace("dumps", "loads"))
    assert find_source(node) is None


def test_doctest_finds_the_functions_of_its_examples() -> None:
    found: list[bool] = []
    example = f">>> {_IMPORTS_AND_USES.rstrip()}".replace("\n", "\n... ")
    example = example.replace("... from", ">>> from").replace("... def", ">>> def")
    given = {"find_source": find_source, "found": found}
    text = f"{example}\n>>> found.append(find_source(node) is not None)\n"
    test = doctest.DocTestParser().get_doctest(text, given, "sample", None, 0)
    assert doctest.DocTestRunner().run(test).failed == 0
    assert found == [True]


def test_functions_of_an_archive_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "nodes.zip", "w") as archive:
        archive.writestr("zipped_nodes.py", _IMPORTS_AND_USES)
    monkeypatch.syspath_prepend(str(tmp_path / "nodes.zip"))
    import zipped_nodes  # type: ignore[import-not-found]

    assert find_source(zipped_nodes.node) is not None
    del sys.modules["zipped_nodes"]


def test_lambdas_on_one_line_are_told_apart() -> None:
    nodes = [lambda state: {"a": state["x"]}, lambda state: {"b": state["y"]}]
    columns = [source.node.col_offset for source in map(_found, nodes)]
    assert columns[0] < columns[1]


def test_lambdas_on_one_line_that_say_the_same_are_the_same() -> None:
    nodes = [lambda state: {"a": state["x"]}, lambda state: {"a": state["x"]}]
    assert all(map(_found, nodes))


def test_code_that_the_compiler_copies_is_found() -> None:
    try:
        pass
    finally:
        node = lambda state: {"a": state["x"]}  # noqa: E731
    assert _found(node)


def _asserting(state: dict[str, int]) -> dict[str, int]:
    assert state["x"], "pytest puts its own code here"
    return {"a": state["x"]}


def test_function_with_assertions_in_a_module_of_tests_is_found() -> None:
    first = _found(_asserting).node
    assert isinstance(first, ast.FunctionDef)
    assert isinstance(first.body[0], ast.Assert)


def _found(function: Any) -> Any:
    assert isinstance(function, FunctionType)
    source = find_source(function)
    assert source is not None
    return source


def test_function_of_a_file_that_was_edited_since_is_not_known(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "edited_while_it_runs.py"
    path.write_text("def node(state):\n    return {'a': state['b']}\n")
    module = importlib.import_module(path.stem)
    path.write_text("def node(state):\n    return {'a': state['text'], 'c': 1}\n")
    linecache.checkcache(str(path))
    assert find_source(module.node) is None


def test_function_of_a_file_that_was_edited_and_loaded_again_is_found(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "edited_and_loaded_again.py"
    path.write_text("def node(state):\n    return {'a': state['b']}\n")
    module = importlib.import_module(path.stem)
    assert find_source(module.node) is not None
    path.write_text("def node(state):\n    return {'a': state['text'], 'c': 1}\n")
    importlib.reload(module)
    source = find_source(module.node)
    assert source is not None
    assert "'c'" in ast.unparse(source.node)
