"""From a function to the groups of its calls that start ahead, and where; and why not more.

A *group* is a slice with the calls in it, each of which may need the one before. In a *loop* every
turn starts its groups anew, all turns together; in a *row* of statements a group starts as soon as
what it needs is there, and nothing is left that it must not pass.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any, Final, Literal, TypeAlias

from langgraph_parallel.inference.calls.functions import is_passive
from langgraph_parallel.inference.code.scopes import scope_of
from langgraph_parallel.inference.code.source import Source, find_source
from langgraph_parallel.inference.machine.values import (
    Cell,
    Chain,
    Const,
    Data,
    Live,
    Opaque,
)
from langgraph_parallel.inference.machine.watch import Watch
from langgraph_parallel.locations import meeting, ordered_places
from langgraph_parallel.lowering.bodies.names import (
    LOOPS,
    SCOPES,
    aliases,
    blocks_of,
    dirtied,
    leaving,
    own_nodes,
    stores,
    yields,
)
from langgraph_parallel.lowering.bodies.sites import Held, Site, fence_of, find_sites, met
from langgraph_parallel.lowering.bodies.slices import Block, Kept, Knowledge, Slicer, needed_for

Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp
Loop: TypeAlias = ast.For | Comprehension


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Calls that are run ahead in one thread or task, and the slice that leads to them."""

    number: int
    sites: tuple[Site, ...]
    block: Block
    needs: frozenset[str]
    """Variables that it is handed, as they are when it starts."""
    kind: Literal["loop", "row"]
    home: Loop | ast.stmt
    """The loop whose turns start it; or the statement in front of which it starts."""
    steps: dict[str, int] = field(default_factory=dict)
    """Of a loop, counters among the needs, and by how much each turn raises them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What is started ahead in one function."""

    function: FunctionType
    source: Source
    sites: tuple[Site, ...] = ()
    groups: tuple[Group, ...] = ()
    held: tuple[Held, ...] = ()
    """Calls that keep their place, and why."""
    follows: frozenset[ast.Call] = frozenset()
    """Calls of functions that may have groups of their own."""


_UNREWRITABLE: Final = frozenset(
    {"locals", "vars", "dir", "eval", "exec", "globals", "super", "__class__", "breakpoint"}
)
"""Names by which a function may see its own variables, or how it was compiled."""


def lay_out(function: FunctionType, watch: Watch) -> Layout:
    """Return which calls of a function are started ahead, and why not others."""
    source = find_source(function)
    if source is None:
        lost = Held(text=function.__name__, line=0, reason="its source code is not available")
        nowhere = Source(_NOTHING, function.__code__.co_filename)
        return Layout(function=function, source=nowhere, held=(lost,))
    hidden = _hidden(source, watch)
    sites, held = find_sites(source, watch, hidden, _filling(watch))
    why = _unrewritable(source) if sites else ""
    if why or not sites:
        return Layout(
            function=function,
            source=source,
            sites=sites,
            held=(*held, *(_hold(site, why) for site in sites)),
            follows=_followed(source, watch, frozenset()) if not why else frozenset(),
        )
    planner = _Planner(source, watch, sites, function)
    assert isinstance(source.node, (ast.FunctionDef, ast.AsyncFunctionDef))
    planner.block(source.node.body)
    return Layout(
        function=function,
        source=source,
        sites=sites,
        groups=tuple(planner.groups),
        held=(*held, *planner.held()),
        follows=_followed(
            source, watch, frozenset(s.call for g in planner.groups for s in g.sites)
        ),
    )


_NOTHING: Final = ast.Lambda(
    ast.arguments([], [], None, [], [], None, []), ast.Constant(None), lineno=0, col_offset=0
)


def _hold(site: Site, reason: str) -> Held:
    return Held(text=site.text, line=site.line, reason=reason)


def _unrewritable(source: Source) -> str:
    """Return why a function stays as it is, or nothing."""
    node = source.node
    if isinstance(node, ast.Lambda):
        return "a lambda is one expression"
    if any(map(yields, node.body)):
        return "its function is a generator, which runs as it is asked"
    if getattr(node, "type_params", None):
        return "its function has type parameters"
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id in _UNREWRITABLE:
            return f"its function uses {part.id}"
        name = getattr(part, "attr", None) or getattr(part, "id", "")
        if isinstance(name, str) and name.startswith("__") and not name.endswith("__"):
            return f"{name} is a private name of its class"
        if isinstance(name, str) and name in ("_getframe", "currentframe"):
            return "its function looks at its own frame"
    return ""


def _followed(source: Source, watch: Watch, sites: frozenset[ast.Call]) -> frozenset[ast.Call]:
    """Return the calls that keep their place and run functions which reach the world."""
    body = source.node.body
    parts: Sequence[ast.AST] = [body] if isinstance(body, ast.expr) else body
    names = {function.__name__ for function in watch.followed.values()}
    return frozenset(
        node
        for part in parts
        for node in own_nodes(part)
        if isinstance(node, ast.Call) and node not in sites
        if isinstance(node.func, (ast.Name, ast.Attribute))
        if getattr(node.func, "attr", getattr(node.func, "id", "")) in names
        if node in watch.parts and watch.parts[node].external
    )


def _mutable(source: Source, watch: Watch) -> frozenset[str]:
    """Return the variables whose objects may be changed in place."""
    values = watch.values.get(source.node, {})
    return frozenset(
        name
        for name in scope_of(source.node).assigned
        if name not in values or not all(map(_is_fixed, values[name]))
    )


def _is_fixed(atom: Any) -> bool:
    """Tell whether nothing that a slice may do changes an object, or whoever does is known."""
    return isinstance(atom, (Const, Live, Chain)) or (isinstance(atom, Data) and atom.scalar)


def _hidden(source: Source, watch: Watch) -> frozenset[str]:
    """Return the variables that may hold functions, or classes, made in the function."""
    own = source.node
    made = {
        node.name
        for node in ast.walk(own)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        if node is not own
    }
    values = watch.values.get(own, {}).items()
    return frozenset(made.union(n for n, v in values if not is_passive(v, 0) or _is_used_up(v)))


def _is_used_up(value: Iterable[Any]) -> bool:
    """Tell whether going through a value may use it up."""
    return any(isinstance(atom, (Cell, Opaque)) and atom.spent for atom in value)


def _shared(source: Source) -> frozenset[str]:
    """Return the names that functions made in the function use."""
    inner = [n for n in ast.walk(source.node) if isinstance(n, SCOPES) and n is not source.node]
    parts = [part for node in inner for part in ast.walk(node)]
    return frozenset(part.id for part in parts if isinstance(part, ast.Name))


def _calm_calls(source: Source, watch: Watch, function: FunctionType) -> frozenset[ast.AST]:
    """Return the calls of the user's functions that change none of their arguments."""
    known = function.__globals__
    classes = {name for name, value in known.items() if isinstance(value, type)}
    filling = _filling(watch)
    quiet = {f.__name__ for f in watch.followed.values()} - filling
    return frozenset(
        node
        for node in ast.walk(source.node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id in quiet or node.func.id in classes
    )


def _filling(watch: Watch) -> frozenset[str]:
    """Return the names of followed functions that may change what they are handed."""
    return frozenset(
        function.__name__
        for node, function in watch.followed.items()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and any(_fills_a_parameter(node, part) for part in node.body)
    )


def _fills_a_parameter(node: ast.FunctionDef | ast.AsyncFunctionDef, part: ast.AST) -> bool:
    known = aliases(node)
    changed = dirtied(part)
    names = changed.union(*(known.get(name, frozenset()) for name in changed))
    own = {a.arg for a in (*node.args.args, *node.args.kwonlyargs)} - {"self", "cls"}
    return not names.isdisjoint(own)


class _Planner:
    """Goes through the blocks of a function, from the outside in."""

    def __init__(
        self, source: Source, watch: Watch, sites: tuple[Site, ...], function: FunctionType
    ) -> None:
        self.source, self.watch, self.sites = source, watch, sites
        self.groups: list[Group] = []
        self._covered: set[Site] = set()
        self._why: dict[Site, str] = {}
        self._by_call: dict[Any, Site] = {site.call: site for site in sites}
        self._variables = scope_of(source.node).assigned
        self._known = Knowledge(
            watch=watch,
            sites=self._by_call,
            mutable=_mutable(source, watch),
            aliases=aliases(source.node),
            calm=frozenset(self._by_call) | _calm_calls(source, watch, function),
            hidden=_hidden(source, watch),
            shared=_shared(source),
        )

    def held(self) -> Iterable[Held]:
        """Yield the calls that are in no group, and why."""
        for site in self.sites:
            if site not in self._covered:
                why = self._why.get(site, "nothing else is there to run beside it")
                yield _hold(site, why)

    def _slicer(self, beside: Iterable[ast.AST] = ()) -> Slicer:
        """Return a slicer for what runs ahead beside some statements."""
        parts = (self.watch.parts.get(part) for part in beside)
        changes = frozenset(place for part in parts if part is not None for place in part.changes)
        return Slicer(replace(self._known, changes=ordered_places(changes)))

    def _open_sites(self, part: ast.AST) -> list[Site]:
        return [
            self._by_call[n]
            for n in own_nodes(part)
            if n in self._by_call and self._by_call[n] not in self._covered
        ]

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Find the groups of a block and of the blocks in it: first all loops, then all rows."""
        self._loops(body)
        self._rows(body)

    def _loops(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, ast.For) and self._open_sites(statement):
                self._loop(statement)
            for part in _comprehensions_of(statement):
                if self._open_sites(part):
                    self._comprehension(part)
            for inner in blocks_of(statement):
                self._loops(inner)

    def _rows(self, body: Sequence[ast.stmt]) -> None:
        self._row(body)
        for statement in body:
            for inner in blocks_of(statement):
                self._rows(inner)

    # -- loops -------------------------------------------------------------------------------------

    def _loop(self, loop: ast.For) -> None:
        """Let the turns of a loop start together, if they can."""
        sites = self._open_sites(loop)
        inside = [part for part in loop.body if self._open_sites(part)]
        if not inside:
            return
        why = self._why_in_turn(loop)
        if why:
            self._note(sites, why)
            return
        body = loop.body
        steps = _counters(loop)
        targets = stores(loop.target)
        changed = frozenset().union(*(stores(part) | self._known.dirtied(part) for part in body))
        lost = set(changed - targets - steps.keys())
        block = self._slicer(body).slice(body, lost)
        self._form(loop, block, sites, body, steps, targets)

    def _form(
        self,
        loop: Loop,
        block: Block,
        sites: Sequence[Site],
        body: Sequence[ast.AST],
        steps: dict[str, int],
        targets: frozenset[str],
    ) -> None:
        """Make groups of what can be run ahead of one turn."""
        inside = [site for site in sites if _holds(block, site)]
        free = []
        for site in inside:
            where = [place for part in body for place in met(self.watch.parts.get(part), site)]
            if where:
                self._note([site], f"it looks at {where[0]}, which the loop changes")
            else:
                free.append(site)
        left_out = [site for site in sites if site not in inside]
        self._note(left_out, "its arguments, or whether it is called, depend on an earlier turn")
        for chosen, part, needs in _apart(block, free, barred=set(inside) - set(free)):
            self._add(
                Group(
                    number=len(self.groups),
                    sites=chosen,
                    block=part,
                    needs=frozenset(needs - targets) & self._variables,
                    kind="loop",
                    home=loop,
                    steps={name: step for name, step in steps.items() if name in needs},
                )
            )

    def _why_in_turn(self, loop: ast.For) -> str:
        """Return why the turns of a loop must come one after another, or nothing."""
        for part in loop.body:
            jump = leaving(part, continues=False)
            if jump is not None:
                what = type(jump).__name__.lower()
                return f"line {jump.lineno} may {what}, and no later turn may start before it"
            why = fence_of(part, self.watch)
            if why:
                return f"a call must not pass line {part.lineno}: {why}"
        if not isinstance(loop.target, (ast.Name, ast.Tuple, ast.List)):
            return "its loop assigns to a part of an object"
        return ""

    def _comprehension(self, part: Comprehension) -> None:
        """Let the turns of a comprehension start together, if they can."""
        sites = self._open_sites(part)
        generator = part.generators[0]
        elements = [part.key, part.value] if isinstance(part, ast.DictComp) else [part.elt]
        pieces: list[ast.expr] = [*generator.ifs, *elements]
        inside = [s for s in sites if any(s.call in own_nodes(e) for e in pieces)]
        binds = any(isinstance(n, ast.NamedExpr) for n in ast.walk(part))
        if not inside or len(part.generators) > 1 or generator.is_async or binds:
            return
        slicer = self._slicer(pieces)
        if not all(slicer.can_run(piece, ()) for piece in pieces):
            whys = [fence_of(piece, self.watch) for piece in pieces if piece in self.watch.parts]
            self._note(inside, next(filter(None, whys), "part of its comprehension is not known"))
            return
        values = [Kept(ast.copy_location(ast.Expr(value), value)) for value in elements]
        block = values
        if generator.ifs:
            test = generator.ifs[0]
            if len(generator.ifs) > 1:
                test = ast.copy_location(ast.BoolOp(ast.And(), list(generator.ifs)), test)
            guard = ast.copy_location(ast.If(test, [], []), test)
            block = [Kept(guard, {"body": values, "orelse": []})]
        self._form(part, block, inside, pieces, {}, stores(generator.target))

    # -- rows --------------------------------------------------------------------------------------

    def _row(self, body: Sequence[ast.stmt]) -> None:
        """Let calls of a block start before those in front of them have ended."""
        hosts = [(i, site) for i, part in enumerate(body) for site in self._open_sites(part)]
        if sum(self._reaches(part) for part in body) < 2 and len(hosts) < 2:
            return
        found: list[tuple[int, int, tuple[Site, ...], Block, set[str]]] = []
        for index, site in hosts:
            if any(site in chosen for _, _, chosen, _, _ in found):
                continue
            taken = {s for _, _, chosen, _, _ in found if len(chosen) > 1 for s in chosen}
            taken |= self._covered
            start, block, needs = self._walk_back(body, index, site, taken)
            if block:
                chosen = tuple(s for s in self.sites if _holds(block, s))
                found = [entry for entry in found if not set(entry[2]) <= set(chosen)]
                found.append((start, index, chosen, block, needs))
        for start, index, chosen, block, needs in found:
            if not self._overlaps(body[start : index + 1], chosen):
                self._note(chosen, self._why.get(chosen[0], "what it needs comes just before it"))
                continue
            group = Group(
                number=len(self.groups),
                sites=chosen,
                block=block,
                needs=frozenset(needs) & self._variables,
                kind="row",
                home=body[start],
            )
            self._add(group)

    def _reaches(self, part: ast.AST) -> bool:
        found = self.watch.parts.get(part)
        return found is not None and bool(found.external)

    def _overlaps(self, body: Sequence[ast.stmt], chosen: Sequence[Site]) -> bool:
        """Tell whether a call of another group runs in some statements."""
        own = {site.call for site in chosen}
        return any(
            isinstance(node, ast.Call) and node not in own and self._reaches(node)
            for part in body
            for node in own_nodes(part)
            if not any(node is not call and node in own_nodes(call) for call in own)
        )

    def _walk_back(
        self, body: Sequence[ast.stmt], index: int, site: Site, taken: set[Site]
    ) -> tuple[int, Block, set[str]]:
        """Return where a call of a block may start, the slice from there on, and what it needs.

        Args:
            body: The block.
            index: The statement that the call stands in.
            site: The call.
            taken: Calls whose groups take no more: what needs them starts after them.
        """
        why = fence_of(body[index], self.watch)
        if why:
            self._note([site], f"a call must not pass line {body[index].lineno}: {why}")
            return index, [], set()
        slicer = self._slicer()
        block = self._lone(slicer, body[index], site, set())
        whole, needs = needed_for(block, [site])
        if any(_holds(whole, other) for other in taken):
            self._note([site], "it needs the answer of a call that starts on its own")
            return index, [], set()
        if not _holds(whole, site) or met(self.watch.parts.get(body[index]), site):
            self._note([site], "what decides on it, or is in its arguments, has effects")
            return index, [], set()
        start = index
        while start > 0:
            before = body[start - 1]
            why = self._why_not_past(before, site)
            if why:
                self._note([site], why)
                break
            if self._changes_for(before, whole):
                self._note([site], f"line {before.lineno} changes what its arguments look at")
                break
            touched = stores(before) | self._known.dirtied(before)
            if touched & needs:
                again, lost = self._slicer(), set[str]()
                more = again.slice(list(body[start - 1 : index]), lost)
                more += self._lone(again, body[index], site, lost)
                longer, wider = needed_for(more, [site])
                held = _holds(longer, site) and _starts_with(longer, before)
                if not held or any(_holds(longer, other) for other in taken):
                    self._note([site], f"it needs what line {before.lineno} does first")
                    break
                whole, needs = longer, wider
            start -= 1
        return start, whole, needs

    def _changes_for(self, statement: ast.stmt, block: Block) -> bool:
        """Tell whether a statement changes a place that a slice looks at."""
        found = self.watch.parts.get(statement)
        own = [self.watch.parts.get(part.statement) for part in block]
        hosts = [self.watch.parts.get(n) for part in block for n in own_nodes(part.statement)]
        looks = {place for part in (*own, *hosts) if part is not None for place in part.looks_at}
        return found is not None and bool(meeting(ordered_places(found.changes), looks))

    def _lone(self, slicer: Slicer, statement: ast.stmt, site: Site, lost: set[str]) -> Block:
        """Return a call without what else its statement does; all of that where it needs it."""
        alone = [part for part in slicer.calls_in(statement, lost) if _holds([part], site)]
        return alone or slicer.slice([statement], lost)

    def _why_not_past(self, statement: ast.stmt, site: Site) -> str:
        jump = leaving(statement)
        if jump is not None:
            return f"line {jump.lineno} may {type(jump).__name__.lower()} before it"
        why = fence_of(statement, self.watch)
        if why:
            return f"it must not pass line {statement.lineno}: {why}"
        places = met(self.watch.parts.get(statement), site)
        return f"line {statement.lineno} changes {places[0]}" if places else ""

    # -- both --------------------------------------------------------------------------------------

    def _add(self, group: Group) -> None:
        if len({site.awaited is None for site in group.sites}) > 1:
            # Whoever blocks on a task keeps it from ever coming to its end.
            self._note(group.sites, "it needs calls that block and others that are awaited")
            return
        self.groups.append(group)
        self._covered.update(group.sites)

    def _note(self, sites: Iterable[Site], why: str) -> None:
        for site in sites:
            self._why.setdefault(site, why)


def _holds(block: Block, site: Site) -> bool:
    return any(
        site.call in own_nodes(part.statement)
        if not part.blocks
        else site.call in own_nodes(_head(part))
        or any(_holds(b, site) for b in part.blocks.values())
        for part in block
    )


def _head(part: Kept) -> ast.AST:
    """Return what a compound statement evaluates before its blocks."""
    if part.inline:
        return ast.Pass()
    statement = part.statement
    return statement.iter if isinstance(statement, ast.For) else statement.test  # type: ignore[attr-defined]


def _starts_with(block: Block, statement: ast.stmt) -> bool:
    return any(part.statement is statement for part in block)


def _apart(
    block: Block, sites: Sequence[Site], barred: set[Site]
) -> Iterable[tuple[tuple[Site, ...], Block, set[str]]]:
    """Yield groups of sites that do not need one another, with what each group needs."""
    sets: list[set[Site]] = []
    for site in sites:
        part, _ = needed_for(block, [site])
        own = {other for other in (*sites, *barred) if _holds(part, other)} | {site}
        near = [known for known in sets if known & own]
        sets = [known for known in sets if not known & own]
        sets.append(own.union(*near))
    for chosen in sets:
        if chosen & barred:
            continue
        ordered = tuple(site for site in sites if site in chosen)
        part, needs = needed_for(block, ordered)
        yield ordered, part, needs


def _counters(loop: ast.For) -> dict[str, int]:
    """Return the variables that each turn of a loop raises by a constant, once."""
    if any(isinstance(n, ast.Continue) for part in loop.body for n in own_nodes(part)):
        return {}
    found: dict[str, int] = {}
    for part in loop.body:
        if not (isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name)):
            continue
        value = part.value
        if not (isinstance(value, ast.Constant) and type(value.value) is int):
            continue
        if isinstance(part.op, (ast.Add, ast.Sub)):
            sign = 1 if isinstance(part.op, ast.Add) else -1
            found[part.target.id] = sign * value.value
    for name in list(found):
        if sum(name in stores(part) for part in loop.body) > 1:
            del found[name]
    return found


def _comprehensions_of(statement: ast.stmt) -> list[Comprehension]:
    """Return the comprehensions that a simple statement runs, not those inside of others."""
    if any(True for _ in blocks_of(statement)) and not isinstance(statement, ast.If):
        return []
    heads = [statement.test] if isinstance(statement, ast.If) else [statement]
    found: list[Comprehension] = []
    for head in heads:
        found.extend(_outermost(head))
    return found


def _outermost(part: ast.AST) -> Iterable[Comprehension]:
    if isinstance(part, (ast.ListComp, ast.SetComp, ast.DictComp)):
        yield part
    elif not isinstance(part, (ast.GeneratorExp, ast.Lambda, *LOOPS, ast.FunctionDef)):
        for child in ast.iter_child_nodes(part):
            yield from _outermost(child)
