"""From a target on the command line to the graphs it names, by importing it as its author would.

    app.py:graph          an attribute of a file
    package.module:graph  an attribute of an importable module
    langgraph.json        every graph of its "graphs"; also the directory that holds it
    app.py                every graph that stands at the top level of the file

An attribute may be a `StateGraph`, a compiled one, one made by `@entrypoint`, or a function without
arguments that returns one. Model clients want an API key when they are made; analysis never calls
them, so the variables of well-known providers get a placeholder while the target is imported,
unless they are set.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

CONFIG_FILE: Final = "langgraph.json"
"""Name of the configuration of LangGraph's own command line, which lists a project's graphs."""

KEY_VARIABLES: Final = (
    "ANTHROPIC_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "COHERE_API_KEY",
    "DEEPSEEK_API_KEY",
    "FIREWORKS_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GROQ_API_KEY",
    "HUGGINGFACEHUB_API_TOKEN",
    "MISTRAL_API_KEY",
    "NVIDIA_API_KEY",
    "OPENAI_API_KEY",
    "OPENROUTER_API_KEY",
    "PERPLEXITY_API_KEY",
    "PINECONE_API_KEY",
    "SERPAPI_API_KEY",
    "TAVILY_API_KEY",
    "TOGETHER_API_KEY",
    "XAI_API_KEY",
)
"""Variables that clients of well-known providers look for when they are made."""

_PLACEHOLDER: Final = "placeholder-for-analysis"


class TargetError(Exception):
    """Raised when a target does not lead to a graph; the message is one line."""


def load_graphs(target: str, only: str | None = None) -> dict[str, Any]:
    """Import a target and return its graphs by name.

    The environment variables are as before when this returns; `sys.path` keeps the target's folder,
    for imports that come later. What the target prints goes to the error output.

    Args:
        target: One of the forms at the top.
        only: Name of the one graph wanted; None means all.

    Raises:
        TargetError: If there is no such file, module or attribute, if importing it fails, or if
            what it names is not a graph.
    """
    with _placeholder_keys(), contextlib.redirect_stdout(sys.stderr):
        graphs = _find_graphs(target)
        if only is not None and only not in graphs:
            msg = f"{target} has no graph {only!r}; it has {_list(graphs)}"
            raise TargetError(msg)
        wanted = graphs if only is None else {only: graphs[only]}
        return {name: load() for name, load in wanted.items()}


def _find_graphs(target: str) -> dict[str, Callable[[], Any]]:
    """Return a loader for each graph that a target names."""
    path = Path(target)
    if path.is_dir():
        path /= CONFIG_FILE
        if not path.is_file():
            msg = f"{target} has no {CONFIG_FILE}; name a graph, such as {target}/app.py:graph"
            raise TargetError(msg)
    if path.suffix == ".json":
        return _graphs_of_config(path)
    place, _, name = target.rpartition(":")
    if place and name.isidentifier():
        return {name: partial(_load, place, name, Path())}
    if path.suffix == ".py":
        found = _graphs_in(_import_file(path))
        if not found:
            msg = f"{target} has no graph at its top level; name a function, as {target}:make_graph"
            raise TargetError(msg)
        return {name: partial(_load, target, name, Path()) for name in found}
    msg = f"{target!r} names no graph; use app.py:graph, package.module:graph or {CONFIG_FILE}"
    raise TargetError(msg)


def _graphs_of_config(path: Path) -> dict[str, Callable[[], Any]]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        msg = f"there is no file {path}"
        raise TargetError(msg) from exc
    except ValueError as exc:
        msg = f"{path} is not JSON: {exc}"
        raise TargetError(msg) from exc
    graphs = config.get("graphs") if isinstance(config, dict) else None
    if not isinstance(graphs, dict) or not graphs:
        msg = f'{path} has no "graphs"'
        raise TargetError(msg)
    local = [d for d in config.get("dependencies") or () if isinstance(d, str) and d[:1] == "."]
    for place in (".", *local):
        _make_importable((path.parent / place).resolve())
    return {name: partial(_load_entry, path, name, entry) for name, entry in graphs.items()}


def _load_entry(path: Path, name: str, entry: Any) -> Any:
    """Load one graph of a configuration: `file.py:name`, or an object with that as its `path`."""
    spec = entry.get("path") if isinstance(entry, Mapping) else entry
    place, _, attribute = spec.rpartition(":") if isinstance(spec, str) else ("", "", "")
    if not place:
        msg = f'graph {name!r} of {path} must be "file.py:name", not {json.dumps(entry)}'
        raise TargetError(msg)
    return _load(place, attribute, path.parent)


# -- import --------------------------------------------------------------------------------------


def _load(place: str, name: str, base: Path) -> Any:
    is_file = place.endswith(".py") or "/" in place or os.sep in place
    module = _import_file(base / place) if is_file else _import_module(place)
    target = f"{place}:{name}"
    if not hasattr(module, name):
        msg = f"{place} has no {name!r}; graphs in it: {_list(_graphs_in(module))}"
        raise TargetError(msg)
    return _as_graph(getattr(module, name), target)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        msg = f"there is no file {path}"
        raise TargetError(msg)
    if path.suffix != ".py":
        msg = f"{path} is not a Python file"
        raise TargetError(msg)
    path = path.resolve()
    root = path.parent
    while (root / "__init__.py").is_file():
        root = root.parent
    _make_importable(root)
    if root != path.parent:  # in a package: its relative imports need its full name
        return _import_module(".".join(path.relative_to(root).with_suffix("").parts))
    return _import_alone(path)


def _import_alone(path: Path) -> ModuleType:
    """Import a file that is in no package, once, under a name that no other module has."""
    name = path.stem
    while (loaded := sys.modules.get(name)) is not None:
        if getattr(loaded, "__file__", None) == str(path):
            return loaded
        name += "_"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # The annotations of a state schema are looked up in the module of that name.
    sys.modules[name] = module
    try:
        with _one_line_errors(str(path)):
            spec.loader.exec_module(module)
    except TargetError:
        del sys.modules[name]
        raise
    return module


def _import_module(name: str) -> ModuleType:
    with _one_line_errors(name):
        return importlib.import_module(name)


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@contextlib.contextmanager
def _one_line_errors(what: str) -> Iterator[None]:
    """Turn whatever the target's own code raises, `SystemExit` included, into one line."""
    try:
        yield
    except (Exception, SystemExit) as exc:
        lines = str(exc).split("\n", 1)
        msg = f"importing {what} failed: {type(exc).__name__}: {lines[0]}"
        raise TargetError(msg) from exc


@contextlib.contextmanager
def _placeholder_keys() -> Iterator[None]:
    """Set the key variables that are not set, and take them away again."""
    added = [name for name in KEY_VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(added, _PLACEHOLDER))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


# -- what a name may be --------------------------------------------------------------------------


def _as_graph(value: Any, target: str) -> Any:
    if _is_graph(value):
        return value
    if not callable(value) or isinstance(value, type):
        kind = type(value).__name__
        msg = f"{target} is of type {kind}, not a graph or a function that returns one"
        raise TargetError(msg)
    if wanted := _required_parameters(value):
        msg = f"{target} is a function that needs {', '.join(wanted)}; name one without arguments"
        raise TargetError(msg)
    with _one_line_errors(f"{target}()"):
        made = value()
    if inspect.iscoroutine(made):
        made.close()
    if not _is_graph(made):
        msg = f"{target}() returned a {type(made).__name__}, not a graph"
        raise TargetError(msg)
    return made


def _required_parameters(function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some built-in callables have none; calling tells
        return []
    loose = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in loose]


def _is_graph(value: Any) -> bool:
    return isinstance(value, (StateGraph, Pregel))


def _graphs_in(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if _is_graph(value)]


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
