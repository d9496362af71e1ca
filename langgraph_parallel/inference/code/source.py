"""From a callable to the syntax tree of the very code that will run.

`inspect.getsource` follows `__wrapped__`, mixes up two lambdas on one line and reads stale files.
Here a function's own code object is looked up in a fresh compilation of its file: only a tree whose
compiled form is equal to that code is returned.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final, TypeAlias

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_LIBRARY_PATHS = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_OWN_PATHS: Final = tuple(
    str(Path(__file__).parents[3] / name) + os.sep
    for name in ("langgraph_parallel", "langgraph_rsm")
)
"""This distribution, which is a library also where it is not installed but lies beside the user's
code."""


@dataclass(frozen=True, slots=True)
class Source:
    """The tree of one function and the file it stands in."""

    node: FunctionNode
    filename: str

    def where(self, node: ast.AST) -> str:
        """Return `file:line` of a part of the function."""
        return f"{_short(self.filename)}:{getattr(node, 'lineno', self.node.lineno)}"


def find_source(function: FunctionType) -> Source | None:
    """Return the tree of `function`, or None when its code cannot be found or has changed."""
    code = function.__code__
    index = _index_of(code.co_filename, function.__globals__)
    candidates = [node for compiled, node in index.get(_key(code), ()) if compiled == code]
    return Source(candidates[0], code.co_filename) if len(candidates) == 1 else None


def is_library(filename: str) -> bool:
    """Tell whether a file belongs to the standard library or an installed package."""
    return filename.startswith(("<frozen", *_LIBRARY_PATHS, *_OWN_PATHS))


Index: TypeAlias = dict[tuple[str, int], list[tuple[CodeType, FunctionNode]]]
"""Compiled functions and their trees, by name and first line."""
_MOST_FILES: Final = 256
_FILES: Final[dict[str, tuple[list[str], Index]]] = {}


def _index_of(filename: str, namespace: dict[str, Any]) -> Index:
    """Return the index of a file, made anew when its lines were read anew."""
    lines = linecache.getlines(filename, namespace)
    known = _FILES.get(filename)
    if known is None or known[0] is not lines:
        if len(_FILES) >= _MOST_FILES:
            _FILES.clear()
        known = _FILES[filename] = (lines, _index_file(filename, lines))
    return known[1]


def _index_file(filename: str, lines: list[str]) -> Index:
    """Pair each compiled function of a file with its tree."""
    try:
        tree = ast.parse("".join(lines), filename)
        module = compile(tree, filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    nodes: dict[tuple[str, int], list[FunctionNode]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            nodes.setdefault(_node_key(node), []).append(node)
    index: Index = {}
    for code in _walk_code(module):
        fitting = [node for node in nodes.get(_key(code), ()) if _spans(node, code)]
        if fitting:
            innermost = min(fitting, key=_extent)
            index.setdefault(_key(code), []).append((code, innermost))
    return index


def _walk_code(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _walk_code(constant)


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_name, code.co_firstlineno


def _node_key(node: FunctionNode) -> tuple[str, int]:
    if isinstance(node, ast.Lambda):
        return "<lambda>", node.lineno
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return node.name, first


def _spans(node: FunctionNode, code: CodeType) -> bool:
    """Tell whether every instruction of `code` stands inside `node`."""
    start = (node.lineno, node.col_offset)
    end = (node.end_lineno or node.lineno, node.end_col_offset or 0)
    for line, end_line, column, end_column in code.co_positions():
        if line is None or column is None or end_line is None or end_column is None:
            continue
        if line == code.co_firstlineno and (column, end_column) == (0, 0):
            continue  # the RESUME instruction has no place of its own
        if (line, column) < start or (end_line, end_column) > end:
            return False
    return True


def _extent(node: FunctionNode) -> tuple[int, int]:
    return (node.end_lineno or 0) - node.lineno, (node.end_col_offset or 0) - node.col_offset


def _short(filename: str) -> str:
    """Return the file name without the folder that the program was started from, or `In[n]`."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    cell = shell.compile.format_code_name(filename) if shell is not None else None
    if cell is not None:
        return str(cell[1])
    for folder in sys.path:
        if folder and filename.startswith(f"{folder}/"):
            return filename[len(folder) + 1 :]
    return filename
