"""From a function and its layout to the same function, which starts calls ahead.

    for doc in docs:                for doc in _ahead.turns(0, None, (docs,), _locals()):
        answer = llm.invoke(doc)        answer = _ahead.take(0, llm.invoke, doc)

The new code stands where the old one stood, line for line, and has the same globals, closure,
defaults and name. What is run ahead are functions of their own beside it.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import CellType, CodeType, FunctionType
from typing import Any, Final, TypeVar

from langgraph_parallel.inference.code.source import FUTURE_FLAGS
from langgraph_parallel.lowering.bodies.groups import Group
from langgraph_parallel.lowering.bodies.kept import Block, Kept
from langgraph_parallel.lowering.bodies.layout import Layout
from langgraph_parallel.lowering.bodies.names import own_nodes
from langgraph_parallel.lowering.bodies.sites import Site

AHEAD: Final = "__langgraph_parallel_ahead"
"""The variable that holds what the function has started."""
_BEGIN: Final = "__langgraph_parallel_begin"
_MAIN: Final = "__langgraph_parallel_main"
_CLOSED: Final = "__langgraph_parallel_closed"
_LOCALS: Final = "__langgraph_parallel_locals"
_TURN: Final = "__langgraph_parallel_turn"
_ITEM: Final = "__langgraph_parallel_item"
_NodeT = TypeVar("_NodeT", bound=ast.AST)
_FACTORY: Final = "__langgraph_parallel_factory"
_NO_TYPES: Final[dict[str, Any]] = {"type_params": []} if sys.version_info >= (3, 12) else {}
"""What a function of no type parameters has since Python 3.12."""
_PAIRING: Final = frozenset({"enumerate", "zip", "reversed", "range"})
"""Built-in functions that make an iterator, which can be made twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A function in its new form."""

    function: FunctionType
    slices: tuple[FunctionType, ...]
    """By the number of its group, what runs ahead: called with what it reports to, the element of
    the turn in a loop, and by name what it needs."""


def rewrite(layout: Layout, begin: Callable[[], Any]) -> Rewritten:
    """Return the new form of a function that has groups, or calls functions that may have some.

    Args:
        layout: What to start, and where.
        begin: Makes, for each call of the function, what its code calls `_ahead`.
    """
    original, node = layout.function, layout.source.node
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    writer = _Writer(layout)
    main = writer.main(node)
    slices = [writer.ahead(group, f"{_TURN}_{group.number}") for group in layout.groups]
    names = (*original.__code__.co_freevars, _BEGIN, _LOCALS, _CLOSED)
    factory = ast.FunctionDef(
        name=_FACTORY,
        args=_arguments(names),
        body=[*slices, main, ast.Return(ast.Constant(None))],
        decorator_list=[],
        **_NO_TYPES,
    )
    module = ast.Module([factory], [])
    ast.copy_location(factory, node)
    ast.fix_missing_locations(module)
    flags = original.__code__.co_flags & FUTURE_FLAGS
    compiled = compile(module, original.__code__.co_filename, "exec", flags, dont_inherit=True)
    codes = {code.co_name: code for code in _codes(_code_named(compiled, _FACTORY))}
    cells = dict(zip(original.__code__.co_freevars, original.__closure__ or (), strict=True))
    cells |= {_BEGIN: CellType(begin), _LOCALS: CellType(builtins.locals)}
    cells[_CLOSED] = CellType(GeneratorExit)

    def built(code: CodeType) -> FunctionType:
        closure = tuple(cells[name] for name in code.co_freevars)
        return FunctionType(code, original.__globals__, code.co_name, None, closure)

    code = codes[_MAIN].replace(
        co_name=original.__code__.co_name, co_qualname=original.__code__.co_qualname
    )
    return Rewritten(
        function=_like(original, built(code)),
        slices=tuple(built(codes[f"{_TURN}_{group.number}"]) for group in layout.groups),
    )


def _like(original: FunctionType, made: FunctionType) -> FunctionType:
    """Give a function everything by which the original is known."""
    made.__name__, made.__qualname__ = original.__name__, original.__qualname__
    made.__module__, made.__doc__ = original.__module__, original.__doc__
    made.__defaults__ = original.__defaults__
    made.__kwdefaults__ = original.__kwdefaults__
    made.__annotations__ = original.__annotations__
    made.__dict__.update(original.__dict__)
    return made


def _codes(code: CodeType) -> Iterator[CodeType]:
    return (part for part in code.co_consts if isinstance(part, CodeType))


def _code_named(code: CodeType, name: str) -> CodeType:
    return next(part for part in _codes(code) if part.co_name == name)


def _arguments(names: tuple[str, ...]) -> ast.arguments:
    return ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])


class _Writer:
    """Writes the new form, of copies of the old syntax tree."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        grouped: dict[ast.AST, Site] = {
            site.call: site for group in layout.groups for site in group.sites
        }
        self._sites: Mapping[ast.AST, Site] = grouped
        self._loops: dict[ast.AST, int] = {}
        self._starts: dict[ast.AST, list[Group]] = {}
        for group in layout.groups:
            if group.kind == "loop":
                self._loops.setdefault(group.home, group.number)
            else:
                self._starts.setdefault(group.home, []).append(group)
        self._is_ahead = False

    # -- the function itself -----------------------------------------------------------------------

    def main(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
        """Return the function, which takes what was started and ends it."""
        body: list[ast.stmt] = [part for old in node.body for part in self._statements(old)]
        has_doc = ast.get_docstring(node, clean=False) is not None
        doc = [body.pop(len(self._starts.get(node.body[0], ())))] if has_doc else []
        rest = body or [ast.copy_location(ast.Pass(), node)]
        is_async = isinstance(node, ast.AsyncFunctionDef)
        begin = _at(rest[0], _assign(AHEAD, ast.Call(_name(_BEGIN), [], [])))
        end: ast.expr = _method(AHEAD, "aclose" if is_async else "close", [])
        last = _at(rest[0], ast.Expr(ast.Await(end) if is_async else end))
        handlers = [_closing()] if is_async else []
        guarded = _at(rest[0], ast.Try(rest, handlers, [], [last]))
        made = type(node)(
            name=_MAIN,
            args=_without_defaults(node.args),
            body=[*doc, begin, guarded],
            # Never run; where they stand, the code begins.
            decorator_list=[ast.copy_location(ast.Constant(None), d) for d in node.decorator_list],
            **_NO_TYPES,
        )
        return ast.copy_location(made, node)

    def _statements(self, old: ast.stmt) -> list[ast.stmt]:
        """Return a statement in its new form, after what starts in front of it."""
        starts = [
            _at(
                old,
                ast.Expr(
                    _method(AHEAD, "start", [ast.Constant(group.number), _call(_LOCALS)]),
                ),
            )
            for group in self._starts.get(old, ())
        ]
        return [*starts, self._copy(old)]

    # -- what runs ahead ---------------------------------------------------------------------------

    def ahead(self, group: Group, name: str) -> ast.stmt:
        """Return the function that runs a group ahead."""
        self._is_ahead = True
        self._last = group.sites[-1]
        body = self._kept(group.block)
        names: tuple[str, ...] = (_TURN,)
        if group.kind == "loop":
            names = (_TURN, _ITEM)
            target = self._copy(_target_of(group.home))
            body.insert(0, _at(group.home, ast.Assign([target], _name(_ITEM))))
        self._is_ahead = False
        needed = sorted(group.needs)
        awaits = any(site.awaited for site in group.sites)
        made = (ast.AsyncFunctionDef if awaits else ast.FunctionDef)(
            name=name,
            args=_arguments((*names, *needed)),
            body=body,
            decorator_list=[],
            **_NO_TYPES,
        )
        return _at(group.home, made)

    def _kept(self, block: Block) -> list[ast.stmt]:
        return [made for part in block for made in self._kept_part(part)] or [ast.Pass()]

    def _kept_part(self, part: Kept) -> list[ast.stmt]:
        statement = part.statement
        if part.inline:
            return self._kept(part.blocks["body"])
        if isinstance(statement, ast.If):
            test = self._copy(statement.test)
            orelse = part.blocks.get("orelse")
            made: ast.stmt = ast.If(
                test,
                self._kept(part.blocks.get("body", [])),
                self._kept(orelse) if orelse else [],
            )
            return [_at(statement, made)]
        if isinstance(statement, ast.For):
            made = ast.For(
                self._copy(statement.target),
                self._copy(statement.iter),
                self._kept(part.blocks["body"]),
                [],
            )
            return [_at(statement, made)]
        if isinstance(statement, ast.Continue) and not self._in_inner_loop(statement):
            return [_at(statement, ast.Return())]
        if isinstance(statement, ast.AugAssign):
            # Not in place: the object may be shared with others that run ahead.
            old = self._copy(statement.target)
            assert isinstance(old, ast.Name)
            value = ast.BinOp(_name(old.id), statement.op, self._copy(statement.value))
            return [_at(statement, ast.Assign([old], value))]
        return [self._copy(statement)]

    def _in_inner_loop(self, jump: ast.stmt) -> bool:
        """Tell whether a `continue` belongs to a loop inside of the turn."""
        node = self._layout.source.node
        homes = [loop for loop in ast.walk(node) if isinstance(loop, (ast.For, ast.While))]
        around = [
            loop for loop in homes if any(jump is n for part in loop.body for n in own_nodes(part))
        ]
        innermost = min(around, key=lambda loop: (loop.end_lineno or 0) - loop.lineno)
        return innermost not in self._loops

    # -- copies ------------------------------------------------------------------------------------

    def _copy(self, node: Any) -> Any:
        """Return a deep copy of a part in which the calls of groups are taken or made ahead."""
        if isinstance(node, list):
            if node and isinstance(node[0], ast.stmt) and not self._is_ahead:
                return [made for part in node for made in self._statements(part)]
            return [self._copy(part) for part in node]
        if not isinstance(node, ast.AST):
            return node
        if isinstance(node, ast.Call):
            replaced = self._call(node)
            if replaced is not None:
                return replaced
        if isinstance(node, ast.Await) and node.value in self._sites:
            return _at(node, ast.Await(self._copy(node.value)))
        if not self._is_ahead and node in self._loops:
            return self._loop(node)
        return self._plain_copy(node)

    def _plain_copy(self, node: ast.AST) -> Any:
        made = type(node)(**{name: self._copy(part) for name, part in ast.iter_fields(node)})
        return ast.copy_location(made, node)

    def _call(self, node: ast.Call) -> ast.expr | None:
        site = self._sites.get(node)
        if site is not None:
            method = "acall" if self._is_ahead else "atake"
            if site.awaited is None:
                method = method[1:]
            function = self._copy(node.func)
            arguments = [ast.Constant(site.number), function, *self._copy(node.args)]
            made = _method(_TURN if self._is_ahead else AHEAD, method, arguments)
            made.keywords = self._copy(node.keywords)
            # A call is traced to the end of what is called, which is where the old one stood.
            placed = _at(node.func, made.func)
            made.func = ast.copy_location(placed, node.func)
            return _at(node, made)
        if node in self._layout.follows and not self._is_ahead:
            function = _at(node.func, _method(AHEAD, "inner", [self._copy(node.func)]))
            return _at(node, ast.Call(function, self._copy(node.args), self._copy(node.keywords)))
        return None

    def _loop(self, node: Any) -> Any:
        """Return a loop, or comprehension, that starts its turns."""
        made = self._plain_copy(node)
        head = made if isinstance(node, ast.For) else made.generators[0]
        old = node.iter if isinstance(node, ast.For) else node.generators[0].iter
        number = ast.Constant(self._loops[node])
        make: ast.expr = ast.Constant(None)
        arguments = [head.iter]
        if _is_pairing(old):
            make, arguments = head.iter.func, head.iter.args
        turns = _method(
            AHEAD, "turns", [number, make, ast.Tuple(arguments, ast.Load()), _call(_LOCALS)]
        )
        head.iter = _at(old, turns)
        return made


def _is_pairing(part: ast.expr) -> bool:
    """Tell whether an expression makes an iterator with a function of Python's."""
    if not isinstance(part, ast.Call) or not isinstance(part.func, ast.Name):
        return False
    starred = any(isinstance(argument, ast.Starred) for argument in part.args)
    return part.func.id in _PAIRING and not part.keywords and not starred


def _target_of(home: Any) -> ast.expr:
    target = home.target if isinstance(home, ast.For) else home.generators[0].target
    assert isinstance(target, ast.expr)
    return target


def _closing() -> ast.ExceptHandler:
    """Return what a coroutine does that is closed, and so may wait for nothing any more."""
    drop = ast.Expr(_method(AHEAD, "drop_all", []))
    return ast.ExceptHandler(_name(_CLOSED), None, [drop, ast.Raise()])


def _without_defaults(arguments: ast.arguments) -> ast.arguments:
    """Return parameters without what they default to and are annotated with."""

    def bare(argument: ast.arg) -> ast.arg:
        return ast.copy_location(ast.arg(argument.arg), argument)

    return ast.arguments(
        posonlyargs=[bare(a) for a in arguments.posonlyargs],
        args=[bare(a) for a in arguments.args],
        vararg=bare(arguments.vararg) if arguments.vararg else None,
        kwonlyargs=[bare(a) for a in arguments.kwonlyargs],
        kw_defaults=[None] * len(arguments.kwonlyargs),
        kwarg=bare(arguments.kwarg) if arguments.kwarg else None,
        defaults=[],
    )


def _at(old: ast.AST, made: _NodeT) -> _NodeT:
    """Place a made node, and the made nodes in it, where an old one stands."""
    for part in ast.walk(made):
        if "lineno" in part._attributes and not hasattr(part, "lineno"):
            ast.copy_location(part, old)
    return made


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _call(name: str) -> ast.Call:
    return ast.Call(_name(name), [], [])


def _method(owner: str, method: str, arguments: list[ast.expr]) -> ast.Call:
    return ast.Call(ast.Attribute(_name(owner), method, ast.Load()), arguments, [])


def _assign(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)
