"""From `super().name(...)` to the code that comes next in the order of classes."""

from __future__ import annotations

import ast
from typing import Any, Final

from langchain_core.language_models import BaseLanguageModel

from langgraph_parallel.inference.calls.function_calls import call_function
from langgraph_parallel.inference.calls.object_methods import call_builtin_method
from langgraph_parallel.inference.code.datamodel import is_a, is_users, mro_of, names_of
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    Atom,
    Chain,
    Const,
    Live,
    Made,
    Object,
    Value,
    join,
    opaque,
    roots_of,
    tame,
)
from langgraph_parallel.inference.objects.object_attributes import own_or_class
from langgraph_parallel.inference.objects.objects import Typed, class_of


def is_super(node: ast.expr) -> bool:
    """Tell whether an expression is `super()`, which finds class and receiver by itself."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "super"
        and not node.args
    )


def super_method(frame: Frame, name: str, given: Arguments) -> Value:
    """Call `super().name(...)`: what the classes after the one that defines the function have."""
    receivers = _first_parameter(frame)
    owner = _defining_class(frame)
    parts = [_super_of(frame, atom, owner, name, given) for atom in receivers]
    return join(*parts)


def _first_parameter(frame: Frame) -> Value:
    node = frame.source.node
    names = [a.arg for a in node.args.posonlyargs + node.args.args]
    return frame.history.get(names[0], NOTHING) if names else NOTHING


def _defining_class(frame: Frame) -> type | None:
    """Return the class whose `__class__` cell the function closes over."""
    cell = frame.cells.get("__class__")
    try:
        found = cell.cell_contents if cell is not None else None
    except ValueError:
        return None
    return found if isinstance(found, type) else None


def _super_of(frame: Frame, atom: Atom, owner: type | None, name: str, given: Arguments) -> Value:
    involved = join(frozenset({atom}), given.all)
    cls = atom.obj if isinstance(atom, Live) and is_a(atom.obj, type) else None
    if isinstance(atom, (Live, Made, Object)) and owner is not None:
        cls = cls if cls is not None and issubclass(cls, owner) else class_of(atom)
        mro = list(mro_of(cls))
        after = mro[mro.index(owner) + 1 :] if owner in mro else []
        for base in after:
            attribute = names_of(base).get(name)
            if attribute is not None:
                return _call_super(frame, atom, base, attribute, name, given)
    return unknown(frame, f"calls super().{name}()", involved, given.node)


def _call_super(
    frame: Frame, atom: Typed, base: type, attribute: Any, name: str, given: Arguments
) -> Value:
    if is_users(attribute):
        static = is_a(attribute, staticmethod)
        function = getattr(attribute, "__func__", attribute)
        inner = given if static else given.after(frozenset({atom}))
        return call_function(frame, function, inner)
    if base is object or name in ("__init__", "__init_subclass__", "__set_name__"):
        return _super_of_object(frame, atom, name, given)
    if isinstance(atom, Live) and is_a(atom.obj, BaseLanguageModel) and name in _BINDS:
        return frozenset({Chain(steps=(frozenset({atom}),))})  # what is bound is shown, not run
    if issubclass(class_of(atom), BaseLanguageModel):
        frame.recorder.contact(
            "model", f"super().{name}() is a model call", frame.where(given.node)
        )
        return tame()
    return call_builtin_method(frame, atom, name, given)


_BINDS: Final = frozenset({"bind", "bind_tools", "with_config", "with_retry"})


def _super_of_object(frame: Frame, atom: Typed, name: str, given: Arguments) -> Value:
    node = given.node
    if name == "__new__":
        return frozenset({atom})
    if name == "__setattr__" and len(given.positional) == 2:
        return call_builtin_method(frame, atom, name, given)
    if name in ("__getattribute__", "__getattr__") and given.positional:
        names = [a.value for a in given.positional[0] if isinstance(a, Const)]
        plain = [own_or_class(frame, atom, str(n), node) for n in names]
        return join(*plain) if names else opaque(roots_of(frozenset({atom})))
    if isinstance(atom, Made):
        frame.recorder.grown |= atom.cell.add(given.all)
        for key, value in given.named.items():
            frame.recorder.grown |= atom.cell.put(key, value)
    frame.use(given.all, node)
    return NONE
