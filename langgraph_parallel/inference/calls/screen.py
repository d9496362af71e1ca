"""From calls that show something on the screen to what they show: rich, IPython, tqdm, messages.

The order of what is shown is the only thing that changes when nodes run side by side. What is shown
is asked for its text, in ways that depend on who shows it: all methods of a user's object count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from langgraph_parallel.inference.calls.plugged_code import run_given
from langgraph_parallel.inference.code.datamodel import instance_dict, is_a
from langgraph_parallel.inference.code.gentle import library_name
from langgraph_parallel.inference.code.services import is_from_library, short_name
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import holding
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    SCALAR,
    Live,
    Object,
    Value,
    tame,
)
from langgraph_parallel.inference.objects.held import place_of
from langgraph_parallel.inference.objects.objects import Typed, change_object, class_of
from langgraph_parallel.locations import SCREEN

_SHOWS: Final = frozenset(
    {
        *("rich.print", "rich.print_json", "rich.pretty.pprint", "rich.inspect"),
        *("IPython.core.display_functions.display", "IPython.core.display_functions.clear_output"),
        *("click.utils.echo", "click.termui.secho", "termcolor.termcolor.cprint"),
    }
)
"""Functions that show what they are given."""
_COLORS: Final = frozenset({"termcolor.termcolor.colored", "click.termui.style"})
"""Functions that make a text to be shown."""
_SHOWN: Final = frozenset(
    f"IPython.{name}" for name in ("Markdown", "HTML", "JSON", "Pretty", "Latex", "Code")
)
"""Classes of what is made to be shown, from a text."""
_CONSOLE_SHOWS: Final = frozenset({"print", "log", "rule", "print_json", "line", "out", "bell"})


def show(frame: Frame, function: Any, given: Arguments) -> Value | None:
    """Return what a function gives that shows something; None when `function` is none of them."""
    name = library_name(function)
    if name in _COLORS:
        frame.use(given.all, given.node)
        return SCALAR
    if name not in _SHOWS or {"file", "console"} & given.named.keys() or given.unpacked:
        return None
    return _show(frame, given)


def _show(frame: Frame, given: Arguments) -> Value | None:
    if not run_given(frame, given):
        return None
    frame.use(given.all, given.node)
    frame.recorder.change(SCREEN, frame.where(given.node))
    return NONE


def make_shown(frame: Frame, cls: type, given: Arguments) -> Value | None:
    """Return a console, a progress bar or something to be shown; None for any other class."""
    name = short_name(cls) if isinstance(cls.__module__, str) else ""
    if not (name in _SHOWN or name in ("rich.Console", "tqdm.tqdm", "tqdm.tqdm_asyncio")):
        return None
    if not is_from_library(cls) or {"file", "filename", "url"} & given.named.keys():
        return None
    if name in _SHOWN:
        frame.use(given.all, given.node)
        return tame()
    if name == "rich.Console":
        return frozenset({Object(cls)}) if run_given(frame, given) else None
    frame.recorder.change(SCREEN, frame.where(given.node))
    items = given.positional[0] if given.positional else given.named.get("iterable", NOTHING)
    return holding(iterate(frame, items, given.node)) if items else None


def console_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    """Return what a method of a rich console gives that shows something; None for any other."""
    cls = class_of(atom)
    if name not in _CONSOLE_SHOWS or cls.__name__ != "Console":
        return None
    if short_name(cls) != "rich.Console" or not is_from_library(cls):
        return None
    if isinstance(atom, Live):
        own: Mapping[str, Any] = instance_dict(atom.obj)
        where = frame.where(given.node)
        if own.get("_file") is not None or name in own or not is_a(own.get("record"), bool):
            return None
        seen = [
            frame.recorder.look(place_of(frame, atom.obj, f".{part}"), where, by_name=True)
            for part in ("record", "_file", name)
        ]
        if any(found != "seen" for found in seen):
            return None
        if own.get("record"):
            change_object(frame, atom, None, where, SCALAR)
    elif isinstance(atom, Object) and atom.roots:
        change_object(frame, atom, None, frame.where(given.node), SCALAR)
    return _show(frame, given)


def pretty_print(frame: Frame, given: Arguments) -> Value:
    """Show a message, as its method `pretty_print` does."""
    frame.use(given.all, given.node)
    frame.recorder.change(SCREEN, frame.where(given.node))
    return NONE
