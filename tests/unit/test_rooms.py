"""The packages are made of rooms on floors: no import leads back to where it came from."""

import ast
from importlib.util import resolve_name
from pathlib import Path

import networkx as nx
import pytest

import langgraph_parallel
import langgraph_rsm


def modules_of(package):
    root = Path(package.__file__).parent
    names = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        names[".".join(parts).removesuffix(".__init__")] = path
    return names


def imported_by(name, path):
    """Return what a module imports, in functions and under `TYPE_CHECKING` too, as dotted names."""
    home = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), home)
            yield from ((f"{base}.{alias.name}", base) for alias in node.names)


def import_graph(package):
    modules = modules_of(package)
    graph = nx.DiGraph()
    graph.add_nodes_from(modules)
    for name, path in modules.items():
        for whole, base in imported_by(name, path):
            target = whole if whole in modules else base
            if target in modules and target != name:
                graph.add_edge(name, target)
    return graph


def circles(graph):
    return [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]


PACKAGES = [langgraph_parallel, langgraph_rsm]


@pytest.fixture(scope="module", params=PACKAGES, ids=lambda package: package.__name__)
def imports(request):
    return request.param, import_graph(request.param)


def test_modules_do_not_import_one_another_in_circles(imports):
    _, graph = imports
    assert graph.number_of_edges() > len(graph)
    assert circles(graph) == []


def test_rooms_do_not_import_one_another_in_circles(imports):
    package, graph = imports
    modules = modules_of(package)
    rooms = nx.DiGraph()
    for source, target in graph.edges:
        pair = [room_of(name, modules[name]) for name in (source, target)]
        # The package's own modules are the ground floor and the top; they have no room.
        if package.__name__ not in pair and pair[0] != pair[1]:
            rooms.add_edge(*pair)
    assert circles(rooms) == []


def room_of(name, path):
    return name if path.name == "__init__.py" else name.rpartition(".")[0]
