"""CONTRIBUTING.md names what is there: paths, commands, names and every room, in their order."""

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PACKAGES = ("langgraph_parallel", "langgraph_rsm")
COMMANDS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))
CODE = [*SPANS, *(line for block in COMMANDS for line in block.splitlines())]
PATH = re.compile(r"(?<!\S)[\w.-]+/[\w./-]*(?!\S)|(?<!\S)\w+\.(?:md|py|toml)(?!\S)")
ENVIRONMENTS = (".venv/", ".venv-")
"""Made by `make`, so not there in a clone."""


def words(pattern):
    return sorted({found for code in CODE for found in re.findall(pattern, code)})


def rooms(package):
    """Return the directories of a package, itself left out, as they stand in the map."""
    found = (ROOT / package).rglob("__init__.py")
    return sorted(f"{path.parent.relative_to(ROOT)}/" for path in found)[1:]


@pytest.mark.parametrize("path", words(PATH))
def test_paths_exist(path):
    assert path.startswith(ENVIRONMENTS) or (ROOT / path).exists()


def test_targets_of_make_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {
        name
        for line in re.findall(r"^([a-z][a-z \-]*):(?!=)", makefile, re.MULTILINE)
        for name in line.split()
    }
    named = set(words(r"\bmake (?:[A-Z]+=\S+ )?([a-z][a-z-]*)"))
    assert len(named) > 5
    assert named - targets == set()


def test_modules_that_commands_run_exist():
    named = words(r"-m ([a-z_]+)")
    assert named
    assert [name for name in named if find_spec(name) is None] == []


def test_names_of_code_stand_in_the_code():
    folders = (*PACKAGES, "tests", "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    tools = ["Makefile", "pyproject.toml", ".ci/run"]
    known = {
        word
        for path in (*files, *(ROOT / name for name in tools))
        if path != Path(__file__)
        for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))
    }
    names = {span for span in SPANS if re.fullmatch(r"\w+", span)}
    assert names - known == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_is_in_the_map(package):
    rows = re.findall(r"^\| `([\w./]+)`", TEXT, re.MULTILINE)
    assert [room for room in rooms(package) if room not in rows] == []


def floors():
    """Return the packages and rooms whose floors the map shows, each with these from the top."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [
        (container, [layer.split(" | ") for layer in contract["layers"]])
        for contract in settings["tool"]["importlinter"]["contracts"]
        for container in contract.get("containers", ())
        if container in (*PACKAGES, "langgraph_rsm.core")
    ]


@pytest.mark.parametrize(("container", "layers"), floors())
def test_the_map_goes_down_as_the_contracts_do(container, layers):
    top = container.replace(".", "/")
    rows = re.findall(rf"^\| `{top}/(\w+)(?:/|\.py)` \|", TEXT, re.MULTILINE)
    floor = {name: number for number, names in enumerate(layers) for name in names}
    named = [name for name in rows if name in floor]
    assert named
    assert named == sorted(named, key=floor.__getitem__)
