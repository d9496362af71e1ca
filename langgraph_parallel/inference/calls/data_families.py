"""From calls of data libraries, tables, arrays and parsed pages, to what they give and change."""

from __future__ import annotations

from typing import Any, Final

from langgraph_parallel.inference.calls.known import run_callbacks, without_callbacks
from langgraph_parallel.inference.calls.tables import MUTATING_METHODS, READING_METHODS
from langgraph_parallel.inference.code.datamodel import find, user_defined
from langgraph_parallel.inference.code.families import (
    class_of_result,
    family_function,
    family_of,
    is_copy,
    is_plugged_in,
)
from langgraph_parallel.inference.code.family_tables import (
    Family,
)
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import constants_of
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    SCALAR,
    Cell,
    Live,
    Made,
    Object,
    Value,
    join,
    roots_of,
)
from langgraph_parallel.inference.objects.objects import (
    Typed,
    change_object,
    class_of,
    family_of_object,
    is_librarys_method,
    look_at_object,
)
from langgraph_parallel.locations import SCREEN, world


def make_data(frame: Frame, cls: type, given: Arguments) -> Value | None:
    """Return an instance of a data class that a node makes; None when `cls` is none."""
    family = family_of(cls)
    if family is None:
        return None
    if cls.__name__ in family.files:
        _read_file(frame, f"{cls.__name__}()", given)
    return _computed(frame, family, cls.__name__, given)


def data_function(frame: Frame, obj: Any, given: Arguments) -> Value | None:
    """Return what a function of a data library gives; None when `obj` is none that is known."""
    found = family_function(obj)
    if found is None or _writes_into(given):
        return None
    if found.reads_files:
        _read_file(frame, f"{found.name}()", given)
    return _computed(frame, found.family, found.name, given)


def class_data_method(frame: Frame, cls: type, name: str, given: Arguments) -> Value | None:
    """Return what `DataFrame.from_dict(...)` and the like give; None for any other method."""
    family = family_of(cls)
    known = family is not None and name.startswith("from_") and name in family.reads | family.texts
    if family is None or not known or is_plugged_in(family, name):
        return None
    return _computed(frame, family, name, given)


def called_as(cls: type) -> str:
    """Return the method that calling an instance of a data class runs; empty when there is none."""
    family = family_of(cls)
    return "" if family is None else family.called


def data_object_method(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value | None:
    """Return what a method of a table, an array or a page gives; None for any other receiver."""
    family = family_of_object(atom)
    if family is None or is_plugged_in(family, name):
        return None
    where = frame.where(given.node)
    if not is_librarys_method(frame, atom, name, where):
        return None
    if name in family.written and not given.positional and not _PLACES & given.named.keys():
        return _give(frame, family, atom, name, given, is_text=True)
    if _changes(family, name, given):
        return _change(frame, family, atom, name, given)
    if name == "info" and not given.all:
        frame.recorder.change(SCREEN, where)
        return join(_give(frame, family, atom, name, given), NONE)
    _draw(frame, name, given)
    if name in family.texts:
        return _give(frame, family, atom, name, given, is_text=True)
    if name in family.reads or name in READING_METHODS or _asks(name, given):
        return _give(frame, family, atom, name, given)
    return None


def _changes(family: Family, name: str, given: Arguments) -> bool:
    """Tell whether a method changes the receiver, or what it is given."""
    changes = name in family.changes or (name in MUTATING_METHODS and name not in family.reads)
    return changes or _is_in_place(given) or _writes_into(given)


def _change(frame: Frame, family: Family, atom: Typed, name: str, given: Arguments) -> Value | None:
    """Change a table, an array or a page; None when it is not known what a method changes."""
    if name not in family.changes | family.reads | MUTATING_METHODS or _writes_into(given):
        return None
    frame.escape(given.all, f"stored by .{name}()", frame.where(given.node))
    made = _give(frame, family, atom, name, given)
    if not is_copy(class_of(atom)):
        change_object(frame, atom, None, frame.where(given.node), given.all)
    return join(made, NONE)


def _draw(frame: Frame, name: str, given: Arguments) -> None:
    """Move the random numbers on of which a sample is drawn, where it has none of its own."""
    if name == "sample" and "random_state" not in given.named:
        frame.recorder.look(world("random"), frame.where(given.node))
        frame.recorder.change(world("random"), frame.where(given.node), SCALAR)


def _asks(name: str, given: Arguments) -> bool:
    """Tell whether a table is asked by an expression that names no variable of the code around."""
    asked = constants_of(given.positional[0]) if given.positional else None
    return name == "query" and asked is not None and not any("@" in str(text) for text in asked)


_PLACES: Final = frozenset({"buf", "path_or_buf", "path_or_buffer", "path", "excel_writer"})


def _is_in_place(given: Arguments) -> bool:
    inplace = given.named.get("inplace")
    return inplace is not None and constants_of(inplace) != frozenset({False})


def _writes_into(given: Arguments) -> bool:
    """Tell whether the result is put into an array that is given."""
    return "out" in given.named or bool(given.unpacked)


def _read_file(frame: Frame, what: str, given: Arguments) -> None:
    frame.recorder.look(world("files"), frame.where(given.node))
    frame.recorder.contact("read", f"{what} reads a file or a page", frame.where(given.node))


def _give(
    frame: Frame,
    family: Family,
    atom: Typed,
    name: str,
    given: Arguments,
    *,
    is_text: bool = False,
) -> Value:
    look_at_object(frame, atom, frame.where(given.node))
    made = _computed(frame, family, name, given.after(frozenset({atom})))
    return SCALAR if is_text else made


def _computed(frame: Frame, family: Family, name: str, given: Arguments) -> Value:
    """Let a library look at all that it is given, and call the functions among it."""
    run_callbacks(frame, given)
    passed = without_callbacks(given.all)
    if not is_understood(passed):
        return unknown(frame, f"gives {family.package} an object", passed, given.node)
    used = frame.use(passed, given.node)
    frame.escape(used, f"kept by {family.package}", frame.where(given.node))
    shares = {"copy", "deep", "inplace"} & given.named.keys()
    made = family.made if shares else class_of_result(family, name)
    return frozenset({Object(made, roots_of(used))})


def is_understood(value: Value, depth: int = 0) -> bool:
    """Tell whether a library may take all of a value apart: no class of the user's is in it.

    A library may ask an object for anything, such as `__array__` or `__rich__`. A file is used up
    by whoever reads it, so that it has to be one that the node itself has opened.
    """
    for atom in value:
        if isinstance(atom, Cell):
            if depth < _DEEPEST and not is_understood(atom.everything(), depth + 1):
                return False
        elif isinstance(atom, (Live, Made, Object)) and not _is_library_object(atom):
            return False
    return True


_DEEPEST: Final = 3


def _is_library_object(atom: Typed) -> bool:
    cls = class_of(atom)
    if user_defined(cls):
        return False
    is_used_up = find(cls, "__next__") is not None
    return not is_used_up or (isinstance(atom, Object) and not atom.roots)
