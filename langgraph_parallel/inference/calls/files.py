"""Files that a node opens: reading one is a read of the world, any other mode writes it."""

from __future__ import annotations

import io
from typing import Final

from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import strings_of
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    SCALAR,
    Object,
    Value,
    const,
    fresh,
)
from langgraph_parallel.locations import world

_READS: Final = frozenset({"read", "readline", "tell", "seek", "readable", "fileno", "isatty"})
_WRITES: Final = frozenset({"write", "writelines", "truncate", "flush"})


def open_file(frame: Frame, given: Arguments) -> Value:
    """Return what `open(...)` gives, by its mode."""
    mode = given.named.get("mode", const("r"))
    mode = given.positional[1] if len(given.positional) > 1 else mode
    names = strings_of(mode)
    if names is None or given.unpacked or "opener" in given.named:
        return unknown(frame, "calls open()", given.all, given.node)
    frame.use(given.all, given.node)
    where = frame.where(given.node)
    frame.recorder.look(world("files"), where)
    if any(set(name) & set("wax+") for name in names):
        frame.recorder.change(world("files"), where, SCALAR)
        frame.recorder.contact("write", "opens a file to write it", where)
    else:
        frame.recorder.contact("read", "opens a file to read it", where)
    binary = all("b" in name for name in names)
    return frozenset({Object(io.BufferedReader if binary else io.TextIOWrapper)})


def file_method(frame: Frame, method: str, given: Arguments) -> Value:
    """Return what a method of an open file gives; that it is read or written is known by then."""
    frame.use(given.all, given.node)
    if method in _WRITES:
        frame.recorder.contact("write", f".{method}() to a file", frame.where(given.node))
        return SCALAR
    if method == "readlines":
        return fresh(plain=True)
    if method in _READS:
        return SCALAR
    if method == "close":
        return NONE
    return unknown(frame, f"calls .{method}() of a file", given.all or NOTHING, given.node)
