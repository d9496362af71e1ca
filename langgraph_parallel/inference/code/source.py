"""From a callable to the syntax tree of the very code that will run.

`inspect.getsource` follows `__wrapped__`, mixes up two lambdas on one line and reads stale files.
Here a function's own code object is looked up in a fresh compilation of its file: only a tree whose
compiled form is equal to that code is returned.
"""

from __future__ import annotations
import __future__

import ast
import functools
import linecache
import operator
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import CodeType, FunctionType
from typing import Final, TypeAlias

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
    lines = linecache.getlines(code.co_filename, function.__globals__)
    found = _fitting(code, lines)
    if found is None:
        # A module that was edited and loaded again: who read it before has the old lines.
        linecache.checkcache(code.co_filename)
        again = linecache.getlines(code.co_filename, function.__globals__)
        found = None if again is lines else _fitting(code, again)
    return found


def _fitting(code: CodeType, lines: list[str]) -> Source | None:
    """Return the tree whose compiled form is a code object, among the lines of its file."""
    for compiled_by in _COMPILERS:
        index = _index_of(code.co_filename, lines, code.co_flags & FUTURE_FLAGS, compiled_by)
        fitting = [node for compiled, node in index.get(_key(code), ()) if compiled == code]
        # Equal code in several places, such as two lambdas on one line, does the same in each if
        # it was written the same.
        if len(fitting) == 1 or len(set(map(ast.dump, fitting))) == 1:
            return Source(fitting[0], code.co_filename)
    return None


def is_library(filename: str) -> bool:
    """Tell whether a file belongs to the standard library or an installed package."""
    return filename.startswith(("<frozen", *_LIBRARY_PATHS, *_OWN_PATHS))


Index: TypeAlias = dict[tuple[str, int], list[tuple[CodeType, FunctionNode]]]
"""Compiled functions and their trees, by name and first line."""
Compiler: TypeAlias = Callable[[str, str, int], list[CodeType]]
"""From the text of a file, its name and the features of the future that it uses to its code."""
_MOST_FILES: Final = 256
_FILES: Final[dict[tuple[str, int, Compiler], tuple[list[str], Index]]] = {}
FUTURE_FLAGS: Final = functools.reduce(
    operator.or_, (getattr(__future__, n).compiler_flag for n in __future__.all_feature_names)
)
"""Marks of code that its file asked for a feature of the future."""


def _index_of(filename: str, lines: list[str], flags: int, compiled_by: Compiler) -> Index:
    """Return the index of a file, made anew when its lines were read anew."""
    key = filename, flags, compiled_by
    known = _FILES.get(key)
    if known is None or known[0] is not lines:
        if len(_FILES) >= _MOST_FILES:
            _FILES.clear()
        known = _FILES[key] = (lines, _index_file(filename, lines, flags, compiled_by))
    return known[1]


def _index_file(filename: str, lines: list[str], flags: int, compiled_by: Compiler) -> Index:
    """Pair each compiled function of a file with its tree."""
    text = "".join(lines)
    try:
        tree = ast.parse(text, filename)
        modules = compiled_by(text, filename, flags)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    nodes: dict[tuple[str, int], list[FunctionNode]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            nodes.setdefault(_node_key(node), []).append(node)
    index: Index = {}
    for code in chain.from_iterable(map(_walk_code, modules)):
        fitting = [node for node in nodes.get(_key(code), ()) if _spans(node, code)]
        if fitting:
            innermost = min(fitting, key=_extent)
            index.setdefault(_key(code), []).append((code, innermost))
    return index


def _compile(tree: ast.Module, filename: str, flags: int) -> CodeType:
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT  # a cell of a notebook may wait
    code: CodeType = compile(tree, filename, "exec", flags, dont_inherit=True)
    return code


def _compile_whole(text: str, filename: str, flags: int) -> list[CodeType]:
    """Compile a file as an import does."""
    return [_compile(ast.parse(text, filename), filename, flags)]


def _compile_statements(text: str, filename: str, flags: int) -> list[CodeType]:
    """Compile statement by statement, as a notebook does.

    The code of a function differs: names that the same compilation imports are called otherwise.
    """
    body = ast.parse(text, filename).body
    return [_compile(ast.Module([part], []), filename, flags) for part in body]


def _compile_for_test(text: str, filename: str, flags: int) -> list[CodeType]:
    """Compile a module of tests as pytest does, which puts messages into its `assert`s."""
    rewrite = sys.modules.get("_pytest.assertion.rewrite")
    hook = next((h for h in sys.meta_path if type(h) is getattr(rewrite, _HOOK, None)), None)
    if rewrite is None or hook is None or "assert" not in text:
        return []
    tree = ast.parse(text, filename)
    rewrite.rewrite_asserts(tree, text.encode(), filename, getattr(hook, "config", None))
    return [_compile(tree, filename, flags)]


_HOOK: Final = "AssertionRewritingHook"
_COMPILERS: Final = (_compile_whole, _compile_statements, _compile_for_test)


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
