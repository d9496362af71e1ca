"""From what a caller gave to where a fresh interpreter finds it, if anywhere.

    "package.module:graph"   a name: a graph, or a function that returns one
    graph                    an object: looked for, by identity, in the modules that are loaded
    make_graph               a function: by its qualified name, if that leads to it

Nothing is guessed: a graph that is in no module, or in `__main__` alone, has no path.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

from langgraph_parallel.equivalence.forms import Graph
from langgraph_parallel.errors import AnalysisError

# Importing the main module again would run the program again.
_NOT_IMPORTED: Final = frozenset({"__main__", "__mp_main__"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a graph comes from."""

    make: Callable[[], Graph]
    """Returns the graph in this process."""
    path: str
    """`module:name` of the graph or of what makes it; empty when it has none."""
    is_named: bool = False
    """Whether the caller named the path, so that an import is what was asked for."""
    makes_fresh: bool = False
    """Whether every call of `make` returns another graph."""


def origin_of(graph: Any) -> Origin:
    """Return where a graph comes from.

    Args:
        graph: A graph, `"module:name"`, or a function without arguments that returns a graph.

    Raises:
        AnalysisError: If it is none of these. A name is not looked up yet.
    """
    if isinstance(graph, str):
        module, _, name = graph.partition(":")
        if not module or not name:
            msg = f"{graph!r} names no graph; write 'package.module:graph'."
            raise AnalysisError(msg)
        return Origin(make=lambda: load_graph(graph), path=graph, is_named=True)
    if callable(graph) and not isinstance(graph, (StateGraph, CompiledStateGraph)):
        path = path_of_function(graph)
        return Origin(make=lambda: _made(graph, path), path=path, makes_fresh=True)
    return Origin(make=lambda: graph, path=path_of_object(_made(graph, "")))


def path_of_object(value: Any) -> str:
    """Return `module:name` of a global that is this very object, or an empty string.

    Of several modules the one that was loaded last is taken: the others import it from there.
    """
    found = ""
    for module_name, module in list(sys.modules.items()):
        if _is_importable(module_name, module):
            for name, held in list(vars(module).items()):
                if held is value:
                    found = f"{module_name}:{name}"
    return found


def path_of_function(function: Any) -> str:
    """Return `module:qualified name` of a function, or an empty string if that is another."""
    module_name = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", "")
    module = sys.modules.get(module_name or "")
    if not name or module_name is None or not _is_importable(module_name, module):
        return ""
    held: Any = module
    for part in name.split("."):
        held = getattr(held, part, None)
    return f"{module_name}:{name}" if held is function else ""


def _is_importable(name: str, module: Any) -> bool:
    is_module = isinstance(module, ModuleType) and name not in _NOT_IMPORTED
    return is_module and getattr(module, "__spec__", None) is not None


def load(path: str) -> Any:
    """Import the module of a path and return what it names.

    Raises:
        AnalysisError: If there is no such name; errors of the import itself are not caught.
    """
    module, _, name = path.partition(":")
    held: Any = importlib.import_module(module)
    for part in name.split("."):
        if not hasattr(held, part):
            msg = f"{module} has no {name!r}."
            raise AnalysisError(msg)
        held = getattr(held, part)
    return held


def load_graph(path: str) -> Graph:
    """Return the graph that a path names, or that the function which it names returns."""
    return _made(load(path), path)


def _made(held: Any, path: str) -> Graph:
    is_function = callable(held) and not isinstance(held, (StateGraph, CompiledStateGraph))
    graph = held() if is_function else held
    if not isinstance(graph, (StateGraph, CompiledStateGraph)):
        what = path or getattr(held, "__qualname__", type(held).__name__)
        msg = f"{what} is or returns a {type(graph).__name__}, not a graph."
        raise AnalysisError(msg)
    return graph


# -- whether a module is still as it was imported ------------------------------------------------


def shapes_of(graph: Graph, path: str) -> dict[str, dict[str, str]]:
    """Return the kinds of all globals of the modules of a graph and of its nodes."""
    builder = graph if isinstance(graph, StateGraph) else graph.builder
    names = {path.partition(":")[0]}
    for spec in builder.nodes.values():
        names.update(_modules(spec.runnable))
    return {name: shape_of(sys.modules[name]) for name in sorted(names) if name in sys.modules}


def _modules(runnable: Any) -> Iterator[str]:
    for attribute in ("func", "afunc"):
        function = getattr(runnable, attribute, None)
        module = getattr(function, "__module__", None)
        if isinstance(module, str) and module not in _NOT_IMPORTED:
            yield module


def shape_of(module: ModuleType) -> dict[str, str]:
    """Return the kind of each global of a module: its type, or its name if it has one.

    Modules are left out: a package has those as globals that somebody has imported by now.
    """
    return {
        name: _kind(value)
        for name, value in list(vars(module).items())
        if name.isidentifier() and not name.startswith("__") and not isinstance(value, ModuleType)
    }


def _kind(value: Any) -> str:
    named = isinstance(value, (type, FunctionType, BuiltinFunctionType))
    kind: Any = value if named else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def changed_global(here: Mapping[str, Mapping[str, str]]) -> str:
    """Say which global is another here than its module, imported afresh, has, or return nothing.

    A test that puts a model of its own into a module is the usual reason.
    """
    for module, expected in here.items():
        found = shape_of(importlib.import_module(module))
        for name in {**expected, **found}:
            kinds = expected.get(name, "not there"), found.get(name, "not there")
            if kinds[0] != kinds[1]:
                return f"{module}.{name} is {kinds[0]} here and {kinds[1]} in a fresh import"
    return ""
