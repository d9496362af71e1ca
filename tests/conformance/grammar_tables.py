"""Reads the tables of operations, receivers and positions that conformance cases are made of."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_FOLDER = Path(__file__).parent / "grammar"
_COLUMNS = re.compile(r"(?<!\\n)(?<!\s)\s{2,}")
PRELUDE = (_FOLDER / "prelude.txt").read_text()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that Python does to an object, and what the object's class makes of it."""

    family: str
    name: str
    use: str
    """An expression, or statements that may set `r`; `$x` is the object."""
    kind: str
    """`instance`, `class`, `meta`: whose methods these are. `source`: a module's text makes the
    object. `stateful`: an expression makes it."""
    thing: str = "Thing()"
    methods: tuple[str, ...] = ()
    base: str = ""
    source: str = ""
    write: str = ""
    """A plain write of a stateful object; empty when there is none."""
    read: str = ""

    @property
    def id(self) -> str:
        return f"{self.family}.{self.name}"

    @property
    def is_async(self) -> bool:
        return self.family == "async"

    @property
    def is_expression(self) -> bool:
        try:
            ast.parse(self.use.replace("$x", "x"), mode="eval")
        except SyntaxError:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A way in which a node gets hold of an object."""

    name: str
    expression: str
    module: str = ""
    maker: str = ""
    """Text of the function that makes the nodes."""
    options: frozenset[str] = field(default_factory=frozenset)
    takes: str = ""
    """A further parameter of the nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a function where an operation may stand."""

    name: str
    body: str
    module: str = ""
    keeps: bool
    """Whether `r` shows the value of the operation."""
    is_sync: bool
    """Whether no `await` may stand there."""

    @property
    def takes_statements(self) -> bool:
        return "$e" not in self.body + self.module


def _blocks(name: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the columns of each entry of a table and the indented lines below it."""
    columns: list[str] = []
    below: list[str] = []
    for line in (_FOLDER / name).read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("    "):
            below.append(line[4:])
            continue
        if columns:
            yield columns, below
        columns, below = _COLUMNS.split(line.strip()), []
    yield columns, below


def _marked(lines: list[str], mark: str) -> str:
    return "".join(f"{line[2:]}\n" for line in lines if line.startswith(f"{mark} "))


def read_positions() -> tuple[Position, ...]:
    """Return all positions."""
    found = []
    for (name, *flags), lines in _blocks("positions.txt"):
        body = "\n".join(line for line in lines if not line.startswith("+ "))
        found.append(
            Position(
                name=name,
                body=body,
                module=_marked(lines, "+"),
                keeps="keeps" in " ".join(flags),
                is_sync="sync" in " ".join(flags),
            )
        )
    return tuple(found)


def read_receivers() -> tuple[Receiver, ...]:
    """Return all receivers."""
    found = []
    for (name, *expression), lines in _blocks("receivers.txt"):
        words = [line for line in lines if line[0] not in "+-"]
        takes = [line.removeprefix("takes ") for line in words if line.startswith("takes ")]
        found.append(
            Receiver(
                name=name,
                expression=expression[0] if expression else name,
                module=_marked(lines, "+"),
                maker=_marked(lines, "-"),
                options=frozenset(words),
                takes="".join(takes),
            )
        )
    return tuple(found)


def read_operations() -> tuple[Operation, ...]:
    """Return all operations."""
    return tuple(
        operation
        for name in ("operators.txt", "containers.txt", "classes.txt", "stateful.txt")
        for operation in _operations(name)
    )


def _operations(table: str) -> Iterator[Operation]:
    family = kind = ""
    for columns, lines in _blocks(table):
        if columns[0].startswith("["):
            family, kind = re.fullmatch(r"\[(.*)\] (.*)", columns[0]).groups()
            continue
        name, use, *rest = (column.replace(r"\n", "\n") for column in columns)
        options = {"family": family, "kind": kind, "name": name, "use": use}
        source = "\n".join(lines)
        if kind in ("source", "stateful"):
            extra = dict(column.split(" ", 1) for column in rest[1:])
            yield Operation(
                **options,
                thing=rest[0],
                source=source,
                write=extra.get("writes", ""),
                read=extra.get("reads", ""),
            )
            continue
        yield Operation(
            **options,
            thing="Thing()" if kind == "instance" else "Thing",
            methods=tuple(rest[0].split("; ")),
            base=rest[1].removeprefix("base ") if rest[1:] else "",
            source=source,
        )
