"""From an import inside a node to the module that is loaded now."""

from __future__ import annotations

import ast
import importlib.util

from langgraph_parallel.inference.code.datamodel import MISSING
from langgraph_parallel.inference.code.imports import module_named, name_in
from langgraph_parallel.inference.machine.frame import Frame, statement
from langgraph_parallel.inference.machine.recorder import GiveUpError
from langgraph_parallel.inference.machine.values import WORLD, Live, Value, opaque


@statement(ast.Import)
def _import(frame: Frame, node: ast.Import) -> None:
    for alias in node.names:
        name = alias.name if alias.asname else alias.name.split(".")[0]
        bound = alias.asname or name
        module_named(alias.name)
        frame.bind(bound, _module(frame, name, node))


@statement(ast.ImportFrom)
def _import_from(frame: Frame, node: ast.ImportFrom) -> None:
    package = frame.namespace.get("__package__") or ""
    try:
        relative = "." * node.level + (node.module or "")
        name = importlib.util.resolve_name(relative, package)
    except (ImportError, ValueError):
        name = ""
    module = module_named(name)
    for alias in node.names:
        if alias.name == "*":
            msg = "it imports *"
            raise GiveUpError(msg)
        found = MISSING if module is None else name_in(module, alias.name)
        value = _module(frame, "", node) if found is MISSING else frame.live(found)
        frame.bind(alias.asname or alias.name, value)


def _module(frame: Frame, name: str, node: ast.stmt) -> Value:
    module = module_named(name)
    if module is not None:
        return frozenset({Live(module)})
    frame.recorder.contact("unknown", "imports a module not loaded yet", frame.where(node))
    return opaque(frozenset({WORLD}))
