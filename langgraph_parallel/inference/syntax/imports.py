"""From an import inside a node to the module that is loaded now."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys

from langgraph_parallel.inference.machine.frame import Frame, statement
from langgraph_parallel.inference.machine.recorder import GiveUpError
from langgraph_parallel.inference.machine.values import WORLD, Live, Value, opaque


@statement(ast.Import)
def _import(frame: Frame, node: ast.Import) -> None:
    for alias in node.names:
        name = alias.name if alias.asname else alias.name.split(".")[0]
        bound = alias.asname or name
        frame.bind(bound, _module(frame, name, node))


@statement(ast.ImportFrom)
def _import_from(frame: Frame, node: ast.ImportFrom) -> None:
    package = frame.namespace.get("__package__") or ""
    try:
        relative = "." * node.level + (node.module or "")
        name = importlib.util.resolve_name(relative, package)
    except (ImportError, ValueError):
        name = ""
    module = sys.modules.get(name)
    for alias in node.names:
        if alias.name == "*":
            msg = "it imports *"
            raise GiveUpError(msg)
        known = module is not None and alias.name in vars(module)
        value = frame.live(vars(module)[alias.name]) if known else _module(frame, "", node)
        frame.bind(alias.asname or alias.name, value)


def _module(frame: Frame, name: str, node: ast.stmt) -> Value:
    module = sys.modules.get(name)
    if module is not None:
        return frozenset({Live(module)})
    frame.recorder.contact("unknown", "imports a module not loaded yet", frame.where(node))
    frame.recorder.memory.open_world()
    return opaque(frozenset({WORLD}))
