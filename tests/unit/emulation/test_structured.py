from typing import Literal

import pytest
from case_counts import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from langgraph_rsm.emulation.errors import UnsupportedSchemaError
from langgraph_rsm.emulation.structured import make_value


class Leaf(BaseModel):
    kind: Literal["a", "b"]
    weight: float = Field(gt=0, le=1)


class Tree(BaseModel):
    name: str = Field(min_length=3, max_length=9)
    size: int = Field(ge=10, lt=12)
    leaf: Leaf
    leaves: list[Leaf] = Field(min_length=1, max_length=5)
    children: list["Tree"]
    parent: "Tree | None" = None
    choice: int | str
    ready: bool


@settings(max_examples=cases(100), deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_value_fits_a_pydantic_model(digest):
    Tree.model_validate(make_value(Tree.model_json_schema(), digest=digest), strict=True)


def test_equal_digests_give_equal_values():
    schema = Tree.model_json_schema()
    assert make_value(schema, digest=3) == make_value(schema, digest=3)


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        ({"const": 5}, lambda v: v == 5),
        ({"enum": [None]}, lambda v: v is None),
        ({"type": ["null", "integer"]}, lambda v: isinstance(v, int)),
        ({"type": "null"}, lambda v: v is None),
        (
            {"anyOf": [{"type": "string", "pattern": "x"}, {"type": "boolean"}]},
            lambda v: v in (0, 1),
        ),
        ({"oneOf": [{"type": "integer", "maximum": -3}]}, lambda v: v <= -3),
        (
            {"allOf": [{"required": ["a"]}, {"properties": {"a": {"const": 1}}}]},
            lambda v: v == {"a": 1},
        ),
        ({"type": "integer", "multipleOf": 7, "minimum": 1}, lambda v: v >= 7 and v % 7 == 0),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.1}, lambda v: 0 < v < 0.1),
        ({"type": "integer", "exclusiveMinimum": 4, "maximum": 5}, lambda v: v == 5),
        ({"type": "array", "prefixItems": [{"const": 1}], "maxItems": 1}, lambda v: v == [1]),
        ({"type": "array", "minItems": 3, "items": {"const": 0}}, lambda v: v == [0, 0, 0]),
        ({"type": "string", "format": "date"}, lambda v: len(v) == 10),
        ({"type": "object"}, lambda v: v == {}),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 2}}}, lambda v: v == 2),
        ({}, lambda v: isinstance(v, str)),
    ],
)
def test_value_fits(schema, fits):
    assert fits(make_value(schema, digest=11))


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "string", "pattern": "^a"}, "pattern"),
        ({"not": {}}, "not"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "no number"),
        ({"type": "string", "minLength": 5, "maxLength": 4}, "minLength"),
        ({"type": "array", "minItems": 5, "maxItems": 4}, "minItems"),
        ({"enum": []}, "enum"),
        ({"$ref": "#/$defs/missing"}, "leads nowhere"),
        ({"$ref": "#"}, "deeper"),
        ({"type": "tuple"}, "unknown"),
        ({"type": "object", "required": 5}, "not a valid JSON schema"),
        ({"anyOf": [False]}, "no value is allowed"),
        ({"allOf": [5]}, "allOf"),
        ({"type": "object", "properties": {"a": {"pattern": ""}}, "required": ["a"]}, "at 'a'"),
    ],
)
def test_schema_beyond_us_is_refused_with_the_reason(schema, reason):
    with pytest.raises(UnsupportedSchemaError, match=reason):
        make_value(schema, digest=11)


MANY = {"type": "array", "items": {"type": "string"}, "minItems": 1_000_000}
DEEP = {"type": "array", "minItems": 100}
for _ in range(4):
    DEEP = {"type": "array", "items": DEEP, "minItems": 100}


@pytest.mark.parametrize(
    "schema",
    [
        MANY,
        DEEP,
        {"type": "object", "required": [str(n) for n in range(100_000)]},
        {"anyOf": [MANY] * 100},
        {"type": "string", "minLength": 10**12},
        {"type": "array", "minItems": float("inf")},
        {"type": "number", "multipleOf": 0},
    ],
)
def test_a_value_beyond_all_measure_is_refused_at_once(schema):
    with pytest.raises(UnsupportedSchemaError):
        make_value(schema, digest=1)
