"""Iterators, heaps and callables that Python's library makes: from `chain(a, b)` to what it gives.

An iterator is lazy; here it runs where it is made, which touches the same things.
"""

from __future__ import annotations

import ast
import bisect
import functools
import heapq
import itertools
import operator
from typing import Any, Final

from langgraph_parallel.inference.calls.builtin_iteration import lazily, run_key
from langgraph_parallel.inference.calls.builtin_operators import Rule, first_of
from langgraph_parallel.inference.calls.methods import method_of
from langgraph_parallel.inference.door.filling import collected
from langgraph_parallel.inference.door.iteration import iterate
from langgraph_parallel.inference.door.operators import binary, compare, truth, unary
from langgraph_parallel.inference.machine.arguments import Arguments
from langgraph_parallel.inference.machine.certainty import holding
from langgraph_parallel.inference.machine.frame import Frame, unknown
from langgraph_parallel.inference.machine.values import (
    NONE,
    NOTHING,
    SCALAR,
    Closure,
    Const,
    Value,
    const,
    join,
    opaque,
    roots_of,
)


def _argument(given: Arguments, place: int, name: str, default: Value = NONE) -> Value:
    """Return the argument that stands at a place or has a name."""
    found = given.positional[place] if len(given.positional) > place else NOTHING
    return join(found, given.named.get(name, NOTHING), given.unpacked) or default


def _items(frame: Frame, given: Arguments) -> Value:
    """Return what iterating over any of the arguments gives."""
    loose = iterate(frame, given.unpacked, given.node)
    inner = iterate(frame, loose, given.node)
    return join(*(iterate(frame, value, given.node) for value in given.positional), loose, inner)


def _chain(frame: Frame, given: Arguments) -> Value:
    return lazily(frame, given, _items(frame, given))


def chain_flat(frame: Frame, given: Arguments) -> Value:
    """Return what `chain.from_iterable(x)` gives."""
    inner = iterate(frame, first_of(given), given.node)
    return lazily(frame, given, iterate(frame, inner, given.node))


def _of_first(frame: Frame, given: Arguments) -> Value:
    """Return an iterator over some items of the first argument; the others are numbers."""
    items = iterate(frame, first_of(given), given.node)
    _use_number(frame, join(*given.positional[1:], *given.named.values()), given)
    return lazily(frame, given, items)


def _compress(frame: Frame, given: Arguments) -> Value:
    truth(frame, iterate(frame, _argument(given, 1, "selectors"), given.node), given.node)
    return lazily(frame, given, iterate(frame, _argument(given, 0, "data"), given.node))


def _repeat(frame: Frame, given: Arguments) -> Value:
    _use_number(frame, join(*given.positional[1:], *given.named.values()), given)
    return lazily(frame, given, join(first_of(given), given.unpacked))


def _use_number(frame: Frame, value: Value, given: Arguments) -> None:
    unary(frame, "__index__", value, given.node)


def _count(frame: Frame, given: Arguments) -> Value:
    numbers = join(given.all, const(0), const(1))
    return lazily(
        frame, given, join(binary(frame, "__add__", numbers, numbers, given.node), SCALAR)
    )


def _tuples(frame: Frame, given: Arguments) -> Value:
    """Return an iterator over tuples of items of all arguments."""
    _use_number(frame, given.named.get("repeat", NOTHING), given)
    parts = join(_items(frame, given), given.named.get("fillvalue", NOTHING))
    return lazily(frame, given, holding(parts))


def _choices(frame: Frame, given: Arguments) -> Value:
    """Return an iterator over tuples of items of the first argument, as long as the second says."""
    _use_number(frame, join(*given.positional[1:], *given.named.values()), given)
    first = Arguments(given.node, given.positional[:1], {}, given.unpacked)
    return lazily(frame, given, holding(_items(frame, first)))


def _tee(frame: Frame, given: Arguments) -> Value:
    items = iterate(frame, first_of(given), given.node)
    return holding(lazily(frame, given, items))


def _accumulate(frame: Frame, given: Arguments) -> Value:
    items = iterate(frame, _argument(given, 0, "iterable"), given.node)
    function = _argument(given, 1, "func") - NONE
    total = join(items, given.named.get("initial", NOTHING))
    for _ in range(_MOST_STEPS):
        step = (
            frame.call(function, Arguments(given.node, (total, items)))
            if function
            else binary(frame, "__add__", total, items, given.node)
        )
        grown = join(total, step)
        if grown == total:
            return lazily(frame, given, total)
        total = grown
    return lazily(frame, given, join(total, opaque(roots_of(total))))


_MOST_STEPS: Final = 3
"""Steps of a fold after which what it gives is taken to be unknown, unless it has settled."""


def _filtered(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) != 2 or given.unpacked:
        return unknown(frame, f"calls {given.callee}", given.all, given.node)
    function, iterable = given.positional
    items = iterate(frame, iterable, given.node)
    answers = frame.call(function - NONE, Arguments(given.node, (items,)))
    truth(frame, join(answers, items if function >= NONE else NOTHING), given.node)
    return lazily(frame, given, items)


def _starmap(frame: Frame, given: Arguments) -> Value:
    if len(given.positional) != 2 or given.unpacked:
        return unknown(frame, "calls starmap()", given.all, given.node)
    function, iterable = given.positional
    rows = iterate(frame, iterable, given.node)
    parts = iterate(frame, rows, given.node)
    return lazily(frame, given, frame.call(function, Arguments(given.node, unpacked=parts)))


def _groupby(frame: Frame, given: Arguments) -> Value:
    items = iterate(frame, _argument(given, 0, "iterable"), given.node)
    key = _argument(given, 1, "key") - NONE
    keyed = frame.call(key, Arguments(given.node, (items,))) if key else items
    compare(frame, "__eq__", keyed, keyed, given.node)
    return lazily(frame, given, holding(join(keyed, holding(items))))


def _largest(frame: Frame, given: Arguments) -> Value:
    items = iterate(frame, _argument(given, 1, "iterable"), given.node)
    _use_number(frame, first_of(given), given)
    key = _argument(given, 2, "key") - NONE
    keyed = frame.call(key, Arguments(given.node, (items,))) if key else items
    compare(frame, "__lt__", keyed, keyed, given.node)
    return collected(frame, given.node, items)


def _merge(frame: Frame, given: Arguments) -> Value:
    items = _items(frame, given)
    keyed = run_key(frame, given, items)
    compare(frame, "__lt__", keyed, keyed, given.node)
    return lazily(frame, given, items)


def _on_list(*methods: str) -> Rule:
    """Return the rule for a function that changes the list it is given as these methods would."""

    def rule(frame: Frame, given: Arguments) -> Value:
        if not given.positional or given.unpacked:
            return unknown(frame, f"calls {given.callee}", given.all, given.node)
        whole, *rest = given.positional
        items = join(iterate(frame, whole, given.node), *rest[:1])
        keyed = run_key(frame, given, items)
        compare(frame, "__lt__", keyed, keyed, given.node)
        found: Value = NOTHING
        for name in methods:
            passed = tuple(rest[:1]) if name == "append" else ()
            inner = Arguments(given.node, passed)
            found = join(found, *(method_of(frame, atom, name, inner) for atom in whole))
        return join(found, items) if "pop" in methods else NONE

    return rule


@functools.lru_cache(maxsize=1024)
def _lambda(source: str, line: int) -> ast.Lambda:
    """Return the tree of a function that does what the library's object does."""
    tree = ast.parse(source, mode="eval").body
    assert isinstance(tree, ast.Lambda)
    for part in ast.walk(tree):
        if "lineno" in part._attributes:
            part.lineno = part.end_lineno = line  # type: ignore[attr-defined]
    return tree


def _function(frame: Frame, given: Arguments, parameters: str, body: str) -> Value:
    """Return a function of the arguments `a0`, `a1` and by their names, for which they stand."""
    values = {f"a{place}": value for place, value in enumerate(given.positional)}
    values |= {f"n_{name}": value for name, value in given.named.items()}
    bound = "".join(f", {name}=None" for name in values)
    tree = _lambda(f"lambda {parameters}{bound}: {body}", getattr(given.node, "lineno", 1))
    return frozenset({Closure(tree, values, frame)})


def _item_getter(frame: Frame, given: Arguments) -> Value:
    if given.unpacked or not given.positional:
        return unknown(frame, "calls itemgetter()", given.all, given.node)
    taken = [f"it[a{place}]" for place in range(len(given.positional))]
    body = taken[0] if len(taken) == 1 else f"({', '.join(taken)})"
    return _function(frame, given, "it, *", body)


def _attribute_getter(frame: Frame, given: Arguments) -> Value:
    names = [a.value for v in given.positional for a in v if isinstance(a, Const)]
    known = all(isinstance(n, str) and all(map(str.isidentifier, n.split("."))) for n in names)
    if given.unpacked or not names or len(names) != len(given.positional) or not known:
        return unknown(frame, "calls attrgetter()", given.all, given.node)
    taken = [f"it.{name}" for name in names]
    body = taken[0] if len(taken) == 1 else f"({', '.join(taken)})"
    return _function(frame, given, "it, *", body)


def _method_caller(frame: Frame, given: Arguments) -> Value:
    names = [a.value for a in first_of(given) if isinstance(a, Const)]
    if given.unpacked or len(names) != 1 or not str(names[0]).isidentifier():
        return unknown(frame, "calls methodcaller()", given.all, given.node)
    passed = [f"a{place}" for place in range(1, len(given.positional))]
    passed += [f"{name}=n_{name}" for name in given.named]
    return _function(frame, given, "it, *", f"it.{names[0]}({', '.join(passed)})")


def _partial(frame: Frame, given: Arguments) -> Value:
    if given.unpacked or not given.positional:
        return unknown(frame, "calls partial()", given.all, given.node)
    passed = [f"a{place}" for place in range(1, len(given.positional))]
    passed += ["*rest", *(f"{name}=n_{name}" for name in given.named), "**named"]
    values = {f"a{place}": value for place, value in enumerate(given.positional)}
    values |= {f"n_{name}": value for name, value in given.named.items()}
    bound = "".join(f", {name}=None" for name in values)
    source = f"lambda *rest{bound}, **named: a0({', '.join(passed)})"
    tree = _lambda(source, getattr(given.node, "lineno", 1))
    return frozenset({Closure(tree, values, frame)})


ITERATORS: Final[tuple[tuple[Any, Rule], ...]] = (
    *((itertools.chain, _chain), (itertools.islice, _of_first), (itertools.cycle, _of_first)),
    *((itertools.tee, _tee), (itertools.repeat, _repeat), (itertools.count, _count)),
    *((itertools.compress, _compress), (itertools.accumulate, _accumulate)),
    *((itertools.product, _tuples), (itertools.permutations, _choices)),
    *((itertools.combinations, _choices), (itertools.combinations_with_replacement, _choices)),
    *((itertools.pairwise, _tuples), (itertools.zip_longest, _tuples)),
    *((itertools.takewhile, _filtered), (itertools.dropwhile, _filtered)),
    *((itertools.filterfalse, _filtered), (itertools.starmap, _starmap)),
    *((itertools.groupby, _groupby), (heapq.nlargest, _largest), (heapq.nsmallest, _largest)),
    *((heapq.merge, _merge), (heapq.heappush, _on_list("append"))),
    *((heapq.heappop, _on_list("pop")), (heapq.heapify, _on_list("sort"))),
    *((heapq.heappushpop, _on_list("append", "pop")), (bisect.insort, _on_list("append"))),
    *((heapq.heapreplace, _on_list("append", "pop")), (bisect.insort_left, _on_list("append"))),
    *((operator.itemgetter, _item_getter), (operator.attrgetter, _attribute_getter)),
    *((operator.methodcaller, _method_caller), (functools.partial, _partial)),
    *((getattr(itertools, name), _choices) for name in ("batched",) if hasattr(itertools, name)),
)
"""The rule for each iterator, function on lists and maker of functions of the library."""
