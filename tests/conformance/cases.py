"""Conformance cases: two nodes of a graph that meet in an object which Python's data model runs.

A case is an operation x a receiver x a position x a role x a memory x a shape. It is rendered as
the text of a module, so that there is real source code to analyze:

* `writes`: the first node has an effect by the operation, the second one reads it plainly;
* `reads`: the first node writes plainly, the second one sees it by the operation;
* `tickets`: both do the operation, and each sees how often it was done.
"""

from __future__ import annotations

import random
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from grammar_tables import (
    PRELUDE,
    Operation,
    Position,
    Receiver,
    read_operations,
    read_positions,
    read_receivers,
)

OPERATIONS = read_operations()
RECEIVERS = read_receivers()
POSITIONS = read_positions()
ROLES = ("writes", "reads", "tickets")
SHAPES = ("pair", "model", "routed")
"""Nothing, a node like a model call, or a router between the two nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Where an effect is kept: how to have it, count it, write it and read it."""

    setup: str
    touch: str
    count: str
    write: str
    read: str


MEMORIES = {
    "own": Memory(
        setup="",
        touch="$me.done += 1",
        count="$me.done",
        write="$x.done = 5",
        read="$x.done",
    ),
    "tally": Memory(
        setup="tally = types.SimpleNamespace(count=0)",
        touch="tally.count += 1",
        count="tally.count",
        write="tally.count = 5",
        read="tally.count",
    ),
    "list": Memory(
        setup="log = []",
        touch="log.append(1)",
        count="len(log)",
        write="log.extend([1, 1, 1, 1, 1])",
        read="len(log)",
    ),
    "dict": Memory(
        setup="book = {}",
        touch='book["n"] = book.get("n", 0) + 1',
        count='book.get("n", 0)',
        write='book["n"] = 5',
        read='book.get("n", 0)',
    ),
    "global": Memory(
        setup="total = 0",
        touch="global total\ntotal += 1",
        count="total",
        write="global total\ntotal = 5",
        read="total",
    ),
    "class": Memory(
        setup="class Tally:\n    count = 0",
        touch="Tally.count += 1",
        count="Tally.count",
        write="Tally.count = 5",
        read="Tally.count",
    ),
    "helper": Memory(
        setup="tally = types.SimpleNamespace(count=0)",
        touch="tick()",
        count="tally.count",
        write="tally.count = 5",
        read="tally.count",
    ),
}
_HOOKS_OF_ATTRIBUTES = ("__setattr__", "__getattribute__", "__delattr__", "__dict__")
"""Methods that a plain access to the object's own attribute would run."""
_GUARDS = {
    "__getattr__": "raise AttributeError(name)",
    "__getattribute__": "return object.__getattribute__(self, name)",
}
"""LangGraph asks any object that a node can reach for names of its own whenever it compiles."""
_METHOD = re.compile(r"(=?)((?:@\S+ )?)((?:async )?)(\w+)\((.*?)\) -> (.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One pair of nodes."""

    operation: Operation
    receiver: Receiver
    position: Position
    role: str
    memory: str
    shape: str = "pair"

    @property
    def id(self) -> str:
        parts = (self.receiver.name, self.position.name, self.role, self.memory, self.shape)
        return "/".join((self.operation.id, *parts))

    @property
    def source(self) -> str:
        """The module's text."""
        return _render(self)


def roles_of(operation: Operation) -> tuple[str, ...]:
    """Return the roles in which an operation may play."""
    if operation.kind == "stateful":
        needed = {"writes": operation.read, "reads": operation.write}
        return (*filter(needed.get, needed), "tickets")
    return ROLES


def memories_of(operation: Operation) -> tuple[str, ...]:
    """Return the memories in which an operation may keep its effect."""
    if operation.kind == "stateful":
        return ("own",)
    text = " ".join(operation.methods)
    if operation.kind == "source" or "tick()" in operation.source:
        return tuple(name for name in MEMORIES if name not in ("own", "helper"))
    if any(hook in text for hook in _HOOKS_OF_ATTRIBUTES):
        return tuple(name for name in MEMORIES if name != "own")
    return tuple(MEMORIES)


def positions_of(operation: Operation) -> tuple[Position, ...]:
    """Return the positions in which an operation may stand."""
    return tuple(
        position
        for position in POSITIONS
        if (operation.is_expression or position.takes_statements)
        and not (operation.is_async and position.is_sync)
    )


def fits(position: Position, role: str) -> bool:
    """Tell whether a later node that does its part in a position can show what it saw."""
    return position.keeps or role == "writes"


def product(operation: Operation, rng: random.Random) -> Iterator[Case]:
    """Yield every receiver x position x role of an operation, with a drawn memory and shape."""
    for receiver in RECEIVERS:
        for position in positions_of(operation):
            for role in roles_of(operation):
                if fits(position, role):
                    yield _draw(operation, receiver, position, role, rng)


def pairs(operation: Operation, rng: random.Random) -> Iterator[Case]:
    """Yield every receiver x role and every position x role of an operation, the rest drawn."""
    positions, roles = positions_of(operation), roles_of(operation)
    keeping = [position for position in positions if position.keeps]
    for receiver in RECEIVERS:
        for role in roles:
            yield _draw(operation, receiver, rng.choice(keeping), role, rng)
    for position in positions:
        for role in roles:
            if fits(position, role):
                yield _draw(operation, rng.choice(RECEIVERS), position, role, rng)


def sample(operation: Operation, rng: random.Random) -> Iterator[Case]:
    """Yield drawn cases of an operation without end, all roles in turn."""
    positions = positions_of(operation)
    while True:
        for role in rng.sample(roles_of(operation), len(roles_of(operation))):
            position = rng.choice([found for found in positions if fits(found, role)])
            yield _draw(operation, rng.choice(RECEIVERS), position, role, rng)


def _draw(
    operation: Operation, receiver: Receiver, position: Position, role: str, rng: random.Random
) -> Case:
    return Case(
        operation=operation,
        receiver=receiver,
        position=position,
        role=role,
        memory=rng.choice(memories_of(operation)),
        shape=rng.choice(SHAPES),
    )


# -- text ----------------------------------------------------------------------------------------


def _fill(template: str, **parts: str) -> str:
    """Put parts into the `$name`s of a template, indented as the name where it has a line."""
    for name, part in parts.items():
        pattern = re.compile(rf"^( *)\${name}$", re.M)
        template = pattern.sub(lambda m, part=part: textwrap.indent(part, m[1]), template)
        template = template.replace(f"${name}", part)
    return template


def _render(case: Case) -> str:
    operation, receiver, position = case.operation, case.receiver, case.position
    memory = MEMORIES[case.memory]
    first, second = _bodies(case, memory)
    outer = _at(position.module, operation, "thing")
    nodes = _nodes(receiver, operation, first, second)
    parts = [
        PRELUDE,
        memory.setup,
        _tick(case, memory),
        _class(case, memory),
        _fill(receiver.module, thing=operation.thing),
        outer,
    ]
    return "\n".join([*parts, nodes, _maker(receiver, operation)])


def _bodies(case: Case, memory: Memory) -> tuple[str, str]:
    x = case.receiver.expression
    operation = case.operation
    implicit = _at(case.position.body, operation, x)
    if not case.position.keeps:
        implicit = f"{implicit}\nr = 0"
    stateful = operation.kind == "stateful"
    write = _fill(operation.write if stateful else memory.write, x=x) + "\nr = 0"
    read = "r = " + _fill(operation.read if stateful else memory.read, x=x)
    return {
        "writes": (implicit, read),
        "reads": (write, implicit),
        "tickets": (implicit, implicit),
    }[case.role]


def _at(template: str, operation: Operation, x: str) -> str:
    """Put an operation into a position's text."""
    head = "r = " if operation.is_expression else "r = 0\n"
    use = operation.use.replace("$x", x)
    alias = head + operation.use.replace("$x", "it")
    waits, starts = ("await", "async") if operation.is_async else ("", "")
    template = template.replace("$await ", f"{waits} ".lstrip())
    template = template.replace("$async ", f"{starts} ".lstrip())
    return _fill(template, s=head + use, t=alias, e=f"({use})", x=x)


def _tick(case: Case, memory: Memory) -> str:
    if case.memory == "own":
        return ""
    touches = case.role != "reads"
    touch = "tally.count += 1" if case.memory == "helper" else memory.touch
    lines = [touch if touches else "", f"return {memory.count}"]
    return "def tick():\n" + textwrap.indent("\n".join(filter(None, lines)), "    ")


def _class(case: Case, memory: Memory) -> str:
    operation = case.operation
    if operation.kind == "stateful":
        return ""
    if operation.kind == "source":
        return operation.source
    methods = "\n".join(_method(spec, case, memory) for spec in operation.methods)
    # What is indented below `$class` belongs to the class, the rest comes after it.
    head, _, tail = operation.source.partition("$class\n")
    members, *after = re.split(r"(?m)^(?=\S)", tail, maxsplit=1)
    body = textwrap.indent(f"done = 0\n{methods}", "    ") + f"\n{members}"
    if operation.kind == "meta":
        return f"{head}\nclass Meta(type):\n{body}\n" + (
            "class Thing(metaclass=Meta):\n    pass\n" if "class Thing" not in head else ""
        )
    return f"{head}\nclass Thing({operation.base}):\n{body}\n{''.join(after)}"


def _method(spec: str, case: Case, memory: Memory) -> str:
    plain, decorator, is_async, name, parameters, result = _METHOD.fullmatch(spec).groups()
    me = "Thing" if case.operation.kind == "class" else parameters.split(",")[0]
    touch = memory.touch.replace("$me", me) if not plain and case.role != "reads" else ""
    count = memory.count.replace("$me", me)
    result = re.sub(r"\bN\b", count, re.sub(r"\bB\b", f"({count} > 1)", result))
    ends = f"self.n = {result[5:]}" if result.startswith("init ") else f"return {result}"
    if result.startswith("(yield ") and is_async:
        ends = result  # an async generator returns nothing
    if "global " in touch or memory.count == "total":
        # One declaration, at the top, whatever comes first.
        touch = "global total\n" + touch.replace("global total\n", "")
    guard = f'    if name != "prop":\n        {_GUARDS[name]}' if name in _GUARDS else ""
    lines = [f"{is_async}def {name}({parameters}):", guard, textwrap.indent(touch, "    ")]
    head = [decorator.strip()] if decorator else []
    tail = ["__hash__ = object.__hash__"] if name == "__eq__" and _hashes(case) else []
    return "\n".join([*head, *filter(None, lines), f"    {ends}", *tail])


def _hashes(case: Case) -> bool:
    """Tell whether the class needs a hash beside its `__eq__` to be kept in any receiver."""
    text = " ".join(case.operation.methods)
    return "__hash__" not in text and case.operation.kind == "instance"


def _nodes(receiver: Receiver, operation: Operation, first: str, second: str) -> str:
    thing, is_async = operation.thing, "async " if operation.is_async else ""
    pause = "await asyncio.sleep(PAUSE)" if is_async else "time.sleep(PAUSE)"
    takes = f", {receiver.takes}" if receiver.takes else ""
    me = "self, " if "self" in receiver.options else ""

    def node(name: str, body: str, key: str) -> str:
        head = f"{is_async}def {name}({me}state: State{takes}):\n"
        return head + textwrap.indent(f'{body}\nreturn {{"{key}": r}}', "    ") + "\n"

    text = node("first", f"{pause}\n{first}", "a") + "\n" + node("second", second, "b")
    if me:
        text = textwrap.indent(text, "    ")
    elif receiver.maker:
        # Nodes over closure variables are made with the variables.
        maker = _fill(receiver.maker, thing=thing)
        text = textwrap.indent(f"{maker}\n{text}\nreturn first, second", "    ")
        return f"def make_nodes():\n{text}\n"
    return f"class Agent:\n{text}" if me else text


def _maker(receiver: Receiver, operation: Operation) -> str:
    """Return the function that gives the nodes, the input, the context and the configurables."""
    thing = operation.thing
    if "self" in receiver.options:
        made = f"agent = Agent()\nagent.thing = {thing}\nagent.services = {{'k': agent.thing}}"
        nodes = "agent.first, agent.second"
    elif receiver.maker:
        made, nodes = "first, second = make_nodes()", "first, second"
    elif receiver.name == "partial":
        made = "bind = lambda f: functools.partial(f, thing=shared)"
        nodes = "bind(first), bind(second)"
    else:
        made, nodes = "", "first, second"
    given = '{"x": 1}'
    context = settings = "None"
    if "given" in receiver.options:
        given = '{"x": 1, "thing": thing, "things": {"k": thing}}'
    if receiver.name.startswith("runtime"):
        context = 'types.SimpleNamespace(thing=thing, things={"k": thing})'
    if receiver.name.startswith("configurable"):
        settings = '{"thing": thing}'
    text = f"{made}\nreturn {nodes}, {given}, {context}, {settings}"
    return "\ndef make():\n" + textwrap.indent(text, "    ") + "\n"
