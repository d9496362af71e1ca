"""The tables of Python's library: every public name is known, or left out with a reason."""

import importlib
import os
import re
import subprocess
import sys
import types

import pytest

from langgraph_parallel.inference.calls.library import left_out, library

MODULES = (
    *("re", "string", "textwrap", "html", "difflib", "unicodedata", "shlex", "fnmatch", "pprint"),
    *("csv", "keyword", "calendar", "locale", "math", "cmath", "statistics", "decimal"),
    *("fractions", "numbers", "random", "secrets", "ipaddress", "base64", "binascii", "struct"),
    *("zlib", "gzip", "bz2", "lzma", "hashlib", "colorsys", "json", "copy", "collections"),
    *("itertools", "heapq", "bisect", "operator", "functools", "dataclasses", "graphlib"),
    *("queue", "types", "weakref", "datetime", "time", "zoneinfo", "os.path", "os", "pathlib"),
    *("glob", "io", "shutil", "tempfile", "platform", "getpass", "traceback", "warnings"),
    *("contextlib", "threading", "concurrent.futures", "urllib.parse", "tomllib"),
)


def public_names(module):
    names = getattr(module, "__all__", None) or [n for n in dir(module) if n[0] != "_"]
    for name in names:
        value = getattr(module, name, None)
        is_error = isinstance(value, type) and issubclass(value, BaseException)
        if callable(value) and not isinstance(value, types.ModuleType) and not is_error:
            yield name


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_known_or_left_out(name):
    told = library().keys() | left_out().keys()
    missing = [n for n in public_names(importlib.import_module(name)) if f"{name}.{n}" not in told]
    assert missing == []


def test_nothing_is_both_known_and_left_out():
    assert library().keys() & left_out().keys() == set()
    assert all(re.match(r"\w", reason) for reason in left_out().values())


PROGRAM = """
import re
from pathlib import Path
from typing import Any, TypedDict
from langgraph_parallel import infer_effects
{before}
class S(TypedDict, total=False):
    text: str
    anything: Any
def node(state: S):
    return {{"text": {value}}}
print(sorted(infer_effects(node, S).external))
"""


def external_of(tmp_path, value, before=""):
    """Return the contact of a node in a program of its own: no class of the tests is loaded."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(value=value, before=before))
    here = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, check=True, env=here
    )
    return done.stdout.strip()


SAVES = """
SEEN = []
class Saves:
    def __str__(self):
        SEEN.append(1)
        return ""
"""


@pytest.mark.parametrize(
    ("value", "before", "expected"),
    [
        ("Path(state['text']).with_name('x').read_text()", "", "['read']"),
        ("Path(state['text']).write_text('x')", "", "['write']"),
        ("re.search('x', state['text']).span()[0]", "", "[]"),
        ("str(state['anything'])", SAVES, "['unknown']"),
        ("[x for x in state['anything']]", "", "['unknown']"),
        ("'x' in state['anything']", "", "['unknown']"),
        ("state['anything'].send(1)", "", "['unknown']"),
        ("state['anything']['x']", "from collections import defaultdict", "['unknown']"),
    ],
)
def test_a_node_in_a_program_of_its_own(tmp_path, value, before, expected):
    assert external_of(tmp_path, value, before) == expected
