"""Calling a class: what making an instance runs, and what the instance holds.

metaclass `__call__` -> `__new__` -> `__init__`            of the user's: followed
dataclass, named tuple                                      fields, defaults, `__post_init__`
pydantic model                                              fields, factories, validators
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import types
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, PydanticUserError
from pydantic.fields import FieldInfo

from langgraph_parallel.inference.calls.handlers import call_hook
from langgraph_parallel.inference.code.datamodel import (
    code_of,
    find,
    is_generated,
    is_users,
    user_defined,
)
from langgraph_parallel.inference.code.gentle import is_gentle
from langgraph_parallel.inference.code.source import is_library
from langgraph_parallel.inference.machine.annotations import DATA_CLASSES, value_of_annotation
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.frame import Frame
from langgraph_parallel.inference.machine.values import (
    NOTHING,
    SCALAR,
    Cell,
    Data,
    Live,
    Made,
    Object,
    Value,
    join,
    opaque,
    roots_of,
    tame,
)
from langgraph_parallel.inference.objects.named_tuples import fill_parts, is_named_tuple
from langgraph_parallel.inference.objects.object_attributes import load_attr
from langgraph_parallel.inference.objects.objects import Typed, call_method, class_of, is_as_seen
from langgraph_parallel.locations import world

_LEAVES: Final = (*DATA_CLASSES, str, int, float, bool, bytes, list, dict, tuple, set, frozenset)
_DEEPEST: Final = 5


def make(frame: Frame, cls: type, arguments: Arguments) -> Value | None:
    """Return the instance that calling a class gives; None when that is not understood."""
    if not is_as_seen(frame, cls, _MADE_BY, frame.where(arguments.node)):
        return None
    hook = find(type(cls), "__call__")
    if hook is not None and is_users(hook[1]):
        made = frame.call(frame.live(hook[1]), arguments.after(frozenset({Live(cls)})))
        # It may call `super().__call__`, and so all of what follows.
        return join(made, _make(frame, cls, arguments) or opaque(roots_of(arguments.all)))
    return _make(frame, cls, arguments)


_MADE_BY: Final = ("__init__", "__new__", "__post_init__", "model_post_init")


def _make(frame: Frame, cls: type, arguments: Arguments) -> Value | None:
    if issubclass(cls, enum.Enum):
        return _enum_member(frame, cls, arguments)
    if issubclass(cls, BaseModel):
        return _model(frame, cls, arguments)
    atom = Made(cls, frame.recorder.cells.setdefault((id(arguments.node), cls), Cell("object")))
    made: Value = frozenset({atom})
    new = find(cls, "__new__")
    if new is not None and is_users(new[1]):
        function = getattr(new[1], "__func__", new[1])
        given = arguments.after(frozenset({Live(cls)}))
        made = join(made, frame.call(frame.live(function), given))
    elif new is not None and new[0] is not object and not _is_harmless(new[0], new[1]):
        return None
    elif is_named_tuple(cls):
        fill_parts(frame, atom, arguments)
    init = find(cls, "__init__")
    if init is not None and init[0] is not object and not _initialize(frame, atom, init, arguments):
        return None
    _run_finalizer(frame, atom, arguments.node)
    return made


def _is_harmless(base: type, attribute: Any) -> bool:
    code = code_of(attribute)
    return is_gentle(base) or (code is not None and is_generated(code))


def _initialize(frame: Frame, atom: Made, init: tuple[type, Any], arguments: Arguments) -> bool:
    """Run `__init__`; return False when it is a library's that is not understood."""
    base, function = init
    if is_users(function):
        frame.call(frame.live(function), arguments.after(frozenset({atom})))
        return True
    code = code_of(function)
    if code is not None and is_generated(code):
        _fill_fields(frame, atom, arguments)
        return True
    if not is_gentle(base):
        return False
    _keep_arguments(frame, atom, arguments)
    return True


def _keep_arguments(frame: Frame, atom: Made, arguments: Arguments) -> None:
    """A class with a built-in base keeps what it is given: an exception, a list, a dict."""
    rest = join(*arguments.positional, arguments.unpacked)
    frame.recorder.grown |= atom.cell.add(rest)
    for name, value in arguments.named.items():
        frame.recorder.grown |= atom.cell.put(name, value)


def _fill_fields(frame: Frame, atom: Made, arguments: Arguments) -> None:
    """Do what the `__init__` of a dataclass does."""
    cls, node = atom.cls, arguments.node
    if hasattr(cls, "__attrs_attrs__"):
        _fill_attrs(frame, atom, arguments)
        return
    if not dataclasses.is_dataclass(cls):
        _keep_arguments(frame, atom, arguments)
        return
    positional = list(arguments.positional)
    for field in dataclasses.fields(cls):
        value: Value = arguments.unpacked
        if field.init and field.name in arguments.named:
            value = join(value, arguments.named[field.name])
        elif field.init and not field.kw_only and positional:
            value = join(value, positional.pop(0))
        else:
            value = join(value, _default_of(frame, field, node))
        _set_field(frame, atom, field.name, value, node)
    hook = find(cls, "__post_init__")
    if hook is not None and is_users(hook[1]):
        call_method(frame, atom, hook[1], tuple(positional), node)


def _fill_attrs(frame: Frame, atom: Made, arguments: Arguments) -> None:
    """Do what the `__init__` does that `attrs` makes."""
    node, me = arguments.node, frozenset({atom})
    _keep_arguments(frame, atom, arguments)
    for hook in ("__attrs_pre_init__", "__attrs_post_init__", "__setattr__"):
        found = find(atom.cls, hook)
        if found is not None and is_users(found[1]):
            call_hook(frame, atom, found[1], node)
    for field in atom.cls.__attrs_attrs__:  # type: ignore[attr-defined]
        value = join(arguments.unpacked, arguments.named.get(field.alias, NOTHING), tame())
        factory = getattr(field.default, "factory", None)
        if factory is not None:
            given: tuple[Value, ...] = (me,) if field.default.takes_self else ()
            value = join(value, frame.call(frame.live(factory), Arguments(node, given)))
        if field.converter is not None:
            value = frame.call(frame.live(field.converter), Arguments(node, (value,)))
        if field.validator is not None:
            given = (me, frozenset({Live(field)}), value)
            frame.call(frame.live(field.validator), Arguments(node, given))
        frame.recorder.grown |= atom.cell.put(field.name, value)


def _default_of(frame: Frame, field: Any, node: ast.AST) -> Value:
    if field.default is not dataclasses.MISSING:
        return frame.live(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return frame.call(frame.live(field.default_factory), Arguments(node))
    return NOTHING


def _set_field(frame: Frame, atom: Made, name: str, value: Value, node: ast.AST) -> None:
    hook = find(atom.cls, "__setattr__")
    if hook is not None and is_users(hook[1]):
        call_hook(frame, atom, hook[1], node)
    frame.recorder.grown |= atom.cell.put(name, value)


def _run_finalizer(frame: Frame, atom: Made, node: ast.AST) -> None:
    hook = find(atom.cls, "__del__")
    if hook is not None and is_users(hook[1]):
        call_method(frame, atom, hook[1], (), node)


def _enum_member(frame: Frame, cls: type[enum.Enum], arguments: Arguments) -> Value:
    hook = find(cls, "_missing_")
    if hook is not None and is_users(hook[1]):
        call_hook(frame, Live(cls), hook[1], arguments.node)
    return join(*(frame.live(member) for member in cls)) or opaque()


# -- pydantic --------------------------------------------------------------------------------------


def _model(frame: Frame, cls: type[BaseModel], arguments: Arguments) -> Value:
    """Return an instance of a pydantic model, and run whatever validating it runs."""
    node = arguments.node
    atom = Made(cls, frame.recorder.cells.setdefault((id(node), cls), Cell("object")))
    for name in ("__new__", "__init__", "model_post_init"):
        hook = find(cls, name)
        if hook is not None and is_users(hook[1]) and name != "__init__":
            call_hook(frame, atom, hook[1], node)
    for field_name, field in cls.model_fields.items():
        value = join(arguments.named.get(field_name, NOTHING), arguments.unpacked)
        is_unset = not value and field.default is None and field.default_factory is None
        value = value or _model_default(frame, field, node)
        promised = _validated(field, value)
        frame.recorder.grown |= atom.cell.put(field_name, promised, unset=is_unset)
    if cls.model_config.get("extra") == "allow":
        rest = (v for k, v in arguments.named.items() if k not in cls.model_fields)
        frame.recorder.grown |= atom.cell.add(join(*rest))
    for name, private in cls.__private_attributes__.items():
        if private.default_factory is not None:
            made = frame.call(frame.live(private.default_factory), Arguments(node))
        else:
            made = frame.live(private.default)
        frame.recorder.grown |= atom.cell.put(name, made)
    for function in model_code(cls):
        _call_validator(frame, atom, function, node)
    init = find(cls, "__init__")
    if init is not None and is_users(init[1]):
        frame.call(frame.live(init[1]), arguments.after(frozenset({atom})))
    _run_finalizer(frame, atom, node)
    return frozenset({atom})


def _model_default(frame: Frame, field: FieldInfo, node: ast.AST) -> Value:
    if field.default_factory is not None:
        if _is_langchains(field.default_factory):
            frame.recorder.look(world("environment"), frame.where(node))
            return SCALAR
        return frame.call(frame.live(field.default_factory), Arguments(node))
    if field.is_required():
        return NOTHING
    return frame.live(field.default)


def _is_langchains(factory: Any) -> bool:
    """Tell whether LangChain gives a field its value: it looks into the environment, if at all."""
    code = getattr(factory, "__code__", None)
    is_librarys = code is not None and is_library(code.co_filename)
    return is_librarys and str(getattr(factory, "__module__", "")).startswith("langchain")


def _validated(field: FieldInfo, value: Value) -> Value:
    """Return what a field holds after it was validated: what its annotation promises."""
    promised = value_of_annotation(field.annotation, roots_of(value))
    loose = any(not isinstance(atom, (Data, Object)) for atom in promised)
    return value if loose and value else promised


def _call_validator(frame: Frame, atom: Typed, function: Any, node: ast.AST) -> None:
    inner = getattr(function, "__func__", function)
    if isinstance(inner, types.FunctionType) and is_users(inner):
        count = inner.__code__.co_argcount
        first = inner.__code__.co_varnames[:1]
        given: list[Value] = [tame()] * count
        if first == ("self",):
            given[0] = frozenset({atom})
        elif first == ("cls",):
            given[0] = frozenset({Live(class_of(atom))})
        frame.call(frame.live(inner), Arguments(node, tuple(given)))
        return
    if isinstance(inner, type) and not user_defined(inner):
        return
    frame.call(frame.live(inner), Arguments(node, (tame(),)))


def model_code(cls: type) -> list[Any]:
    """Return the functions of the user's that validating a model may run, nested ones included.

    They are read off the compiled schema of the model, whatever notation they came from:
    decorators, `Annotated`, nested models, factories, `__get_pydantic_core_schema__`.
    """
    try:
        schema = cls.__pydantic_core_schema__  # type: ignore[attr-defined]
        found = list(_functions_in(schema, set(), 0))
    except (AttributeError, PydanticUserError):
        return _declared_code(cls)
    return [f for f in found if _may_be_users(f)]


def _may_be_users(function: Any) -> bool:
    inner = getattr(function, "__func__", function)
    inner = getattr(inner, "func", inner)
    if isinstance(inner, (types.FunctionType, types.MethodType)):
        return is_users(inner)
    if isinstance(inner, type):
        return bool(user_defined(inner))
    return bool(user_defined(type(inner))) or type(inner).__module__ == "itertools"


def _functions_in(
    part: Any, seen: set[int], depth: int, *, serializing: bool = False, inside: bool = False
) -> Iterator[Any]:
    """Yield every callable of a core schema: those that validate, or those that serialize.

    Args:
        part: A part of the schema.
        seen: Parts that were looked at, by identity.
        depth: How deep this one is.
        serializing: Which of the two are wanted.
        inside: Whether this part is about serialization.
    """
    if id(part) in seen or depth > _DEEPEST_SCHEMA:
        return
    seen.add(id(part))
    if isinstance(part, dict):
        for key, value in part.items():
            about = key == "serialization"
            if key == "metadata" or (about and not serializing):
                continue
            yield from _functions_in(
                value, seen, depth + 1, serializing=serializing, inside=inside or about
            )
    elif isinstance(part, (list, tuple)):
        for value in part:
            yield from _functions_in(value, seen, depth + 1, serializing=serializing, inside=inside)
    elif isinstance(part, type):
        if not serializing and _has_own_checks(part):
            yield part
    elif callable(part) and serializing == inside:
        yield part


_DEEPEST_SCHEMA: Final = 60
"""Levels of a core schema; one level of nested models takes about six."""


def _has_own_checks(cls: type) -> bool:
    """Tell whether asking for instances of a class runs code of the user's."""
    hook = find(type(cls), "__instancecheck__")
    missing = find(cls, "_missing_")
    return (hook is not None and is_users(hook[1])) or (
        missing is not None and is_users(missing[1])
    )


def _declared_code(cls: type) -> list[Any]:
    """Return the validators that a model declares, when its schema is not there to be read."""
    rules = getattr(cls, "__pydantic_decorators__", None)
    if rules is None:
        return []
    kinds = [getattr(rules, field.name) for field in dataclasses.fields(rules)]
    return [rule.func for kind in kinds if isinstance(kind, dict) for rule in kind.values()]


def run_serializers(frame: Frame, atom: Typed, cls: type, node: ast.AST) -> None:
    """Run what dumping a pydantic model runs: serializers, also of parts, and computed fields."""
    try:
        schema = cls.__pydantic_core_schema__  # type: ignore[attr-defined]
        found = list(_functions_in(schema, set(), 0, serializing=True))
    except (AttributeError, PydanticUserError):
        found = []
    for function in filter(_may_be_users, found):
        _call_validator(frame, atom, function, node)
    rules = getattr(cls, "__pydantic_decorators__", None)
    for name in getattr(rules, "computed_fields", ()):
        load_attr(frame, atom, name, node)


_QUIET_FACTORIES: Final = (list, dict, set, str, int)
_RUN_BY_MODELS: Final = ("__init__", "__new__", "model_post_init", "__setattr__", "__del__")
_RUN_BY_DATACLASSES: Final = ("__post_init__", "__new__", "__setattr__", "__del__")


def makes_quietly(cls: type) -> bool:
    """Tell whether making an instance of a class certainly runs no code of the user's."""
    return _is_quiet(cls, 0)


def _is_quiet(cls: type, depth: int) -> bool:
    if depth > _DEEPEST or not isinstance(cls, type):
        return False
    if issubclass(cls, BaseModel):
        factories = (f.default_factory for f in cls.model_fields.values())
        return (
            not model_code(cls)
            and all(f is None or f in _QUIET_FACTORIES for f in factories)
            and not any(_is_own(cls, name) for name in _RUN_BY_MODELS)
        )
    if dataclasses.is_dataclass(cls):
        missing = dataclasses.MISSING
        defaults = (f.default_factory for f in dataclasses.fields(cls))
        init = find(cls, "__init__")
        made = init is not None and (code := code_of(init[1])) is not None and is_generated(code)
        return (
            made
            and all(f is missing or f in _QUIET_FACTORIES for f in defaults)
            and not any(_is_own(cls, name) for name in _RUN_BY_DATACLASSES)
        )
    return issubclass(cls, _LEAVES) and not user_defined(cls)


def _is_own(cls: type, name: str) -> bool:
    found = find(cls, name)
    return found is not None and is_users(found[1])
