"""From the syntax of a call to what is passed in it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from langgraph_parallel.inference.machine.values import NOTHING, Value, join


@dataclass(frozen=True, slots=True)
class Arguments:
    """The evaluated arguments of one call."""

    node: ast.AST
    """The place of the call."""
    positional: tuple[Value, ...] = ()
    named: Mapping[str, Value] = field(default_factory=dict)
    unpacked: Value = NOTHING
    """What `*args` and `**kwargs` may hold, together."""
    mappings: Value = NOTHING
    """What `**kwargs` is, where the class that is called takes its entries one by one."""

    def after(self, *first: Value) -> Arguments:
        """Return the arguments behind others, such as the receiver of a method."""
        return replace(self, positional=(*first, *self.positional))

    def rest(self) -> Arguments:
        """Return the arguments without the first one."""
        return replace(self, positional=self.positional[1:])

    @property
    def callee(self) -> str:
        """How a report calls what is called."""
        node = self.node
        return f"{ast.unparse(node.func)}()" if isinstance(node, ast.Call) else "a function"

    @property
    def all(self) -> Value:
        """Everything that is passed."""
        return join(*self.positional, *self.named.values(), self.unpacked, self.mappings)
