"""Make up a JSON value that fits a JSON schema, deterministically.

Understands the part of JSON Schema that pydantic and tool definitions use: types, `enum`,
`const`, `properties` with `required`, `items`, bounds on numbers, lengths and items, `$ref` into
the same document, and the first workable branch of `anyOf`, `oneOf` or `allOf`. Other keywords
that narrow a value (`pattern`, `not`, `if`, …) are refused, because ignoring them would produce
values that do not fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from langgraph_rsm.emulation.errors import UnsupportedSchemaError
from langgraph_rsm.emulation.text import mix, noun_phrase

Schema = Mapping[str, Any]

MAX_DEPTH = 16
"""Nesting at which a recursive schema is given up: deeper than any answer meant for a reader."""

MAX_VALUES = 10_000
"""Values made up for one answer: it is done on the event loop, where nobody is answered meanwhile,
and more would not fit into any context."""
MAX_CHARS = 65_536
"""Longest string, for the same reasons."""

_REFUSED = frozenset(
    {"pattern", "not", "if", "contains", "patternProperties", "dependentRequired", "propertyNames"}
)
_FORMATS = {
    "date": "2024-05-17",
    "date-time": "2024-05-17T09:30:00Z",
    "time": "09:30:00Z",
    "duration": "PT90S",
    "email": "reader@example.com",
    "uri": "https://example.com/report",
    "uuid": "5f0c1e1a-6d2b-4c39-9a51-0f8e7d6c5b4a",
}


def make_value(schema: Schema, *, digest: int) -> Any:
    """Return a JSON value that fits `schema`; equal arguments give equal values.

    Only required properties are filled in.

    Raises:
        UnsupportedSchemaError: When the schema uses a keyword that is not understood, or when it
            cannot be satisfied; `param` is the path inside the schema.
    """
    try:
        return _Maker(schema, digest).make(schema, path="", depth=0)
    except (AttributeError, TypeError, ValueError, ArithmeticError, LookupError) as exc:
        msg = f"this is not a valid JSON schema: {exc}"
        raise UnsupportedSchemaError(msg) from exc


class _Maker:
    def __init__(self, root: Schema, digest: int) -> None:
        self._root = root
        self._digest = digest
        self._drawn = 0
        self._visited = 0

    def _draw(self, low: int, high: int) -> int:
        self._drawn += 1
        return low + mix(self._digest, self._drawn) % (high - low + 1)

    def make(self, schema: Any, *, path: str, depth: int) -> Any:
        self._visited += 1
        if self._visited > MAX_VALUES:
            _refuse(path, f"its smallest value has more than {MAX_VALUES} parts")
        if schema is True:
            return {}
        if not isinstance(schema, Mapping):
            _refuse(path, "no value is allowed here")
        if depth > MAX_DEPTH:
            _refuse(path, f"it nests deeper than {MAX_DEPTH} levels")
        for keyword in _REFUSED & schema.keys():
            _refuse(path, f"the keyword {keyword!r} is not supported")
        if "const" in schema or "enum" in schema:
            return self._fixed(schema, path)
        target = self._redirect(schema, path)
        if target is not None:
            return self.make(target, path=path, depth=depth + 1)
        branches = schema.get("anyOf") or schema.get("oneOf")
        if branches:
            return self._first_branch(branches, path, depth)
        return self._typed(schema, path, depth)

    def _redirect(self, schema: Schema, path: str) -> Schema | None:
        """Return the schema that stands for this one; None when it stands for itself."""
        if "allOf" in schema:
            own = {key: value for key, value in schema.items() if key != "allOf"}
            return _merge(own, schema["allOf"], path)
        if "$ref" not in schema:
            return None
        target: Any = self._root
        for part in schema["$ref"].removeprefix("#").strip("/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, Mapping) or (name and name not in target):
                _refuse(path, f"the reference {schema['$ref']!r} leads nowhere in this document")
            target = target[name] if name else target
        resolved: Schema = target
        return resolved

    def _fixed(self, schema: Schema, path: str) -> Any:
        if "const" in schema:
            return schema["const"]
        options = schema["enum"]
        if not isinstance(options, list) or not options:
            _refuse(path, "'enum' must be a list with at least one value")
        return options[self._draw(0, len(options) - 1)]

    def _first_branch(self, branches: Any, path: str, depth: int) -> Any:
        refusal: UnsupportedSchemaError | None = None
        for branch in branches:
            try:
                return self.make(branch, path=path, depth=depth + 1)
            except UnsupportedSchemaError as exc:
                refusal = refusal or exc
        assert refusal is not None, "branches is not empty"
        raise refusal

    def _typed(self, schema: Schema, path: str, depth: int) -> Any:
        kind = schema.get("type") or ("object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((each for each in kind if each != "null"), "null")
        match kind:
            case "object":
                return self._object(schema, path, depth)
            case "array":
                return self._array(schema, path, depth)
            case "string":
                return self._string(schema, path)
            case "integer" | "number":
                return self._number(schema, path, whole=kind == "integer")
            case "boolean":
                return bool(self._draw(0, 1))
            case "null":
                return None
            case _:
                _refuse(path, f"the type {kind!r} is unknown")

    def _object(self, schema: Schema, path: str, depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        value = {}
        for name in schema.get("required") or ():
            inner = f"{path}.{name}" if path else name
            value[name] = self.make(properties.get(name, {}), path=inner, depth=depth + 1)
        return value

    def _array(self, schema: Schema, path: str, depth: int) -> list[Any]:
        items = [
            self.make(item, path=f"{path}[{index}]", depth=depth + 1)
            for index, item in enumerate(schema.get("prefixItems") or ())
        ]
        low = int(schema.get("minItems", 0))
        high = int(schema.get("maxItems", max(low, 2)))
        if low > high:
            _refuse(path, "'minItems' exceeds 'maxItems'")
        wanted = max(low, min(high, 2))
        try:
            while len(items) < wanted:
                inner = f"{path}[{len(items)}]"
                items.append(self.make(schema.get("items", {}), path=inner, depth=depth + 1))
        except UnsupportedSchemaError:
            # An optional element may be impossible, for example the children of a recursive node.
            if len(items) < low:
                raise
        return items

    def _string(self, schema: Schema, path: str) -> str:
        style = schema.get("format")
        if style in _FORMATS:
            return _FORMATS[style]
        low = int(schema.get("minLength", 0))
        high = int(schema.get("maxLength", max(low, 64)))
        if low > high:
            _refuse(path, "'minLength' exceeds 'maxLength'")
        if low > MAX_CHARS:
            _refuse(path, f"'minLength' is above {MAX_CHARS}")
        return noun_phrase(self._digest, self._draw(0, 1 << 16)).ljust(low, "x")[:high]

    def _number(self, schema: Schema, path: str, *, whole: bool) -> float:
        step = schema.get("multipleOf", 1 if whole else 0.5)
        low, high = _bounds(schema, step)
        first, last = math.ceil(low / step), math.floor(high / step)
        if first > last:
            if whole or "multipleOf" in schema:
                _refuse(path, "no number fits its bounds")
            return float((low + high) / 2)
        value = step * self._draw(first, min(last, first + 1000))
        return int(value) if whole else float(value)


def _bounds(schema: Schema, step: float) -> tuple[float, float]:
    """Return inclusive bounds, moved by a fraction of `step` where they are exclusive."""
    low = schema.get("minimum")
    if "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + step * 1e-6
    high = schema.get("maximum")
    if "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - step * 1e-6
    if low is None:
        low = 0 if high is None else min(0, high - 100 * step)
    return low, low + 100 * step if high is None else high


def _merge(schema: dict[str, Any], branches: list[Any], path: str) -> Schema:
    """Return one schema for `allOf`: later keywords win, properties and required add up."""
    merged = schema
    for branch in branches:
        if not isinstance(branch, Mapping):
            _refuse(path, "'allOf' must list schemas")
        properties = {**merged.get("properties", {}), **branch.get("properties", {})}
        required = [*merged.get("required", ()), *branch.get("required", ())]
        merged = {**merged, **branch}
        if properties:
            merged["properties"] = properties
        if required:
            merged["required"] = list(dict.fromkeys(required))
    return merged


def _refuse(path: str, reason: str) -> NoReturn:
    where = f"at {path!r}" if path else "at its top"
    msg = f"cannot make up a value for this JSON schema: {where}, {reason}"
    raise UnsupportedSchemaError(msg, param=path or None)
