"""What the analysis of functions has seen outside of them, and whether it still is there."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from langgraph_parallel.inference.machine.values import Live
from langgraph_parallel.inference.machine.watch import Watch


@dataclass(frozen=True, slots=True)
class Seen:
    """Objects by the names through which functions get at them."""

    names: tuple[tuple[Mapping[str, Any], str, Any], ...] = ()
    cells: tuple[tuple[CellType, Any], ...] = ()
    known: frozenset[int] = frozenset()
    """Ids of these objects, and of all others that the analysis came across."""
    _kept: tuple[Any, ...] = field(default=(), repr=False)
    """These others, kept so that no id is used twice."""

    def holds(self) -> bool:
        """Tell whether every name still means the object that was seen."""
        for namespace, name, value in self.names:
            if namespace.get(name) is not value:
                return False
        return all(_content(cell) is value for cell, value in self.cells)


def see(functions: Iterable[FunctionType], watch: Watch) -> Seen:
    """Return what functions find outside of themselves, as it is now."""
    names: dict[tuple[int, str], tuple[Mapping[str, Any], str, Any]] = {}
    cells: dict[int, tuple[CellType, Any]] = {}
    for function in functions:
        namespace = function.__globals__
        for name in _names_of(function.__code__):
            if name in namespace:
                names[id(namespace), name] = namespace, name, namespace[name]
        for cell in function.__closure__ or ():
            cells[id(cell)] = cell, _content(cell)
    for module, name in _parts_of_modules(names.values(), watch):
        names[id(vars(module)), name] = vars(module), name, vars(module)[name]
    lives = [
        atom.obj
        for values in watch.values.values()
        for value in values.values()
        for atom in value
        if isinstance(atom, Live)
    ]
    found = [value for _, _, value in names.values()] + [value for _, value in cells.values()]
    return Seen(
        names=tuple(names.values()),
        cells=tuple(cells.values()),
        known=frozenset(map(id, (*found, *lives))),
        _kept=tuple(lives),
    )


def _names_of(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _names_of(part)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _parts_of_modules(
    names: Iterable[tuple[Mapping[str, Any], str, Any]], watch: Watch
) -> list[tuple[ModuleType, str]]:
    """Return the modules, and the names in them, that functions use as `module.name`."""
    modules = {name: value for _, name, value in names if isinstance(value, ModuleType)}
    found = []
    for function in watch.followed:
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = modules.get(node.value.id)
                if module is not None and node.attr in vars(module):
                    found.append((module, node.attr))
    return found
