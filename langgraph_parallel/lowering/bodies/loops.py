"""Loops and comprehensions whose turns start together."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from langgraph_parallel.lowering.bodies.groups import Comprehension, Group, Grouping, Loop
from langgraph_parallel.lowering.bodies.kept import Block, Kept, holds, needed_for
from langgraph_parallel.lowering.bodies.names import (
    LOOPS,
    blocks_of,
    leaving,
    own_nodes,
    stores,
)
from langgraph_parallel.lowering.bodies.sites import Site, fence_of, met


class Loops:
    """Finds the loops of a function whose turns can start together."""

    def __init__(self, grouping: Grouping) -> None:
        self._all = grouping

    def find(self, body: Sequence[ast.stmt]) -> None:
        """Find the groups of the loops in a block, from the outside in."""
        for statement in body:
            if isinstance(statement, ast.For) and self._all.open_sites(statement):
                self._loop(statement)
            for part in _comprehensions_of(statement):
                if self._all.open_sites(part):
                    self._comprehension(part)
            for inner in blocks_of(statement):
                self.find(inner)

    def _loop(self, loop: ast.For) -> None:
        """Let the turns of a loop start together, if they can."""
        sites = self._all.open_sites(loop)
        inside = [part for part in loop.body if self._all.open_sites(part)]
        if not inside:
            return
        why = self._why_in_turn(loop)
        if why:
            self._all.note(sites, why)
            return
        body = loop.body
        steps = _counters(loop)
        targets = stores(loop.target)
        changed = frozenset().union(
            *(stores(part) | self._all.known.dirtied(part) for part in body)
        )
        lost = set(changed - targets - steps.keys())
        block = self._all.slicer(body).slice(body, lost)
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
        inside = [site for site in sites if holds(block, site)]
        free = []
        for site in inside:
            where = [place for part in body for place in met(self._all.watch.parts.get(part), site)]
            if where:
                self._all.note([site], f"it looks at {where[0]}, which the loop changes")
            else:
                free.append(site)
        left_out = [site for site in sites if site not in inside]
        self._all.note(
            left_out, "its arguments, or whether it is called, depend on an earlier turn"
        )
        for chosen, part, needs in _apart(block, free, barred=set(inside) - set(free)):
            self._all.add(
                Group(
                    number=len(self._all.groups),
                    sites=chosen,
                    block=part,
                    needs=frozenset(needs - targets) & self._all.variables,
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
            why = fence_of(part, self._all.watch)
            if why:
                return f"a call must not pass line {part.lineno}: {why}"
        if not isinstance(loop.target, (ast.Name, ast.Tuple, ast.List)):
            return "its loop assigns to a part of an object"
        return ""

    def _comprehension(self, part: Comprehension) -> None:
        """Let the turns of a comprehension start together, if they can."""
        sites = self._all.open_sites(part)
        generator = part.generators[0]
        elements = [part.key, part.value] if isinstance(part, ast.DictComp) else [part.elt]
        pieces: list[ast.expr] = [*generator.ifs, *elements]
        inside = [s for s in sites if any(s.call in own_nodes(e) for e in pieces)]
        binds = any(isinstance(n, ast.NamedExpr) for n in ast.walk(part))
        if not inside or len(part.generators) > 1 or generator.is_async or binds:
            return
        slicer = self._all.slicer(pieces)
        if not all(slicer.can_run(piece, ()) for piece in pieces):
            whys = [
                fence_of(piece, self._all.watch)
                for piece in pieces
                if piece in self._all.watch.parts
            ]
            self._all.note(
                inside, next(filter(None, whys), "part of its comprehension is not known")
            )
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


def _apart(
    block: Block, sites: Sequence[Site], barred: set[Site]
) -> Iterable[tuple[tuple[Site, ...], Block, set[str]]]:
    """Yield groups of sites that do not need one another, with what each group needs."""
    sets: list[set[Site]] = []
    for site in sites:
        part, _ = needed_for(block, [site])
        own = {other for other in (*sites, *barred) if holds(part, other)} | {site}
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
