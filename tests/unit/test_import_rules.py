"""What import-linter cannot say: which parts of LangGraph a room may know."""

import ast
from pathlib import Path

import pytest

import langgraph_parallel

ROOT = Path(langgraph_parallel.__file__).parent
PUBLIC_TYPES_AND_REDUCERS = {"langgraph.types", "langgraph.graph.message"}


def langgraph_modules(path):
    """Return the modules of LangGraph that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "langgraph":
            names = [f"langgraph.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        yield from (name for name in names if name.partition(".")[0] == "langgraph")


@pytest.mark.parametrize("room", ["inference", "ordering"])
def test_rooms_without_graphs_know_the_types_and_reducers_of_langgraph_only(room):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    found = {(file.name, name) for file in files for name in langgraph_modules(file)}
    assert {pair for pair in found if pair[1] not in PUBLIC_TYPES_AND_REDUCERS} == set()


def test_private_modules_of_langgraph_are_named_in_compat_only():
    named = {
        file.relative_to(ROOT).parts[0]
        for file in ROOT.rglob("*.py")
        for name in langgraph_modules(file)
        if "._" in name
    }
    assert named == {"_compat"}
