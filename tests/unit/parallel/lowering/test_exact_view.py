"""The state of an early run notes whatever is read of it, by whichever road."""

import copy
import dataclasses
import json
import operator
import pickle
from dataclasses import dataclass, field

import pytest
from pydantic import BaseModel

from langgraph_parallel._compat.tasks import MISSING
from langgraph_parallel.lowering.exact.twin import TwinReads
from langgraph_parallel.lowering.exact.view import (
    EarlyRunAbandoned,
    EarlyState,
    Reads,
    plain,
)

VALUES = {"a": 1, "b": [1, 2], "c": "x"}
KEYS = ["a", "b", "c", "gone"]


def view(values=None):
    values = VALUES if values is None else values
    reads = Reads(KEYS, lambda key: values.get(key, MISSING))
    return EarlyState(reads, list(values)), reads


def merge(state):
    other = {}
    other.update(state)
    return other


def match_one(state):
    match state:
        case {"a": found}:
            return found


def match_rest(state):
    match state:
        case {"a": _, **rest}:
            return rest


def change(state):
    state["z"] = 1
    return dict(state)


def drop(state):
    del state["a"]
    return dict(state)


def spread(**keys):
    return keys


ONE = {
    "item": lambda s: s["a"],
    "get": lambda s: s.get("a"),
    "bound get": lambda s: (lambda get: get("a"))(s.get),
    "in": lambda s: "a" in s,
    "itemgetter": operator.itemgetter("a"),
    "operator": lambda s: operator.getitem(s, "a"),
    "format": lambda s: "%(a)s" % s,  # noqa: UP031
    "format_map": lambda s: "{a}".format_map(s),
}
ALL = {
    "match": match_one,  # it looks at the length first
    "dict.copy": dict.copy,
    "iterate": lambda s: [key for key in s],  # noqa: C416
    "len": len,
    "truth": bool,
    "repr": repr,
    "str": str,
    "f-string": lambda s: f"{s}",
    "equal": lambda s: s == VALUES,
    "equal from the right": lambda s: s == VALUES,
    "unequal": lambda s: s != {"a": 1},
    "keys": lambda s: list(s.keys()),
    "values": lambda s: list(s.values()),
    "items": lambda s: list(s.items()),
    "reversed": lambda s: list(reversed(s)),
    "sorted": sorted,
    "spread": lambda s: {**s},
    "spread into a call": lambda s: spread(**s),
    "dict": dict,
    "or": lambda s: s | {"z": 1},
    "or from the right": lambda s: {"z": 1} | s,
    "or in place": lambda s: operator.ior(s, {"z": 1}),
    "update of another": merge,
    "copy method": lambda s: s.copy(),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda s: pickle.loads(pickle.dumps(s)),
    "json": json.dumps,
    "json in Python": lambda s: json.dumps(s, indent=1),
    "pop": lambda s: s.pop("a"),
    "pop missing": lambda s: s.pop("gone", 5),
    "popitem": lambda s: s.popitem(),
    "setdefault": lambda s: s.setdefault("gone", 5),
    "clear": lambda s: s.clear(),
    "set": change,
    "delete": drop,
    "match rest": match_rest,
    "update": lambda s: s.update(z=1),
    "unpack": lambda s: [*s],
    "format with spread": lambda s: "{a}".format(**s),
    "zip": lambda s: list(zip(s, s.values(), strict=True)),
}


@pytest.mark.parametrize("how", ONE)
def test_reading_one_key_notes_one_key(how):
    state, reads = view()
    assert ONE[how](state) == ONE[how](dict(VALUES))
    assert set(reads.given) == {"a"}


@pytest.mark.parametrize("how", ALL)
def test_using_the_state_as_a_whole_notes_every_key(how):
    state, reads = view()
    ours = copy.deepcopy(VALUES)
    assert ALL[how](state) == ALL[how](ours)
    assert set(reads.given) == set(KEYS)
    assert state == ours


def test_a_missing_key_is_a_read():
    state, reads = view()
    assert state.get("gone", "none") == "none"
    assert "other" not in state
    with pytest.raises(KeyError, match="gone"):
        state["gone"]
    assert reads.given == {"gone": MISSING, "other": MISSING}
    assert not reads.hold_for({"gone": None})
    assert reads.hold_for({"a": 2})


def test_what_is_changed_in_place_differs_from_the_real_value():
    state, reads = view()
    state["b"].append(3)
    assert VALUES["b"] == [1, 2]
    assert not reads.hold_for(VALUES)


ROUNDABOUT = {
    "dict.items": lambda s: list(dict.items(s)),
    "dict.get": lambda s: [dict.get(s, "a")],
}


@pytest.mark.parametrize("how", ROUNDABOUT)
def test_reading_around_the_methods_is_found_out(how):
    state, _ = view()
    with pytest.raises(EarlyRunAbandoned):
        plain(ROUNDABOUT[how](state))


@pytest.mark.parametrize("use", [str, bool, len, iter, hash, copy.copy, pickle.dumps, dir])
def test_a_token_cannot_be_used(use):
    from langgraph_parallel.lowering.exact.view import TOKEN  # pytest looks into module globals

    with pytest.raises((EarlyRunAbandoned, TypeError)):
        use(TOKEN)


def test_the_state_in_a_result_becomes_a_dict():
    state, reads = view()
    result = plain({"x": [state, (state,)]})
    assert type(result["x"][0]) is type(result["x"][1][0]) is dict
    assert set(reads.given) == set(KEYS)
    kept = {"x": [1]}
    assert plain(kept) is kept


# -- objects ---------------------------------------------------------------------------------------


class Model(BaseModel):
    a: int = 1
    b: list[int] = [1, 2]

    @property
    def double(self):
        return self.a * 2

    def total(self):
        return self.a + sum(self.b)


@dataclass
class Data:
    a: int = 1
    b: list[int] = field(default_factory=lambda: [1, 2])

    @property
    def double(self):
        return self.a * 2

    def total(self):
        return self.a + sum(self.b)


def match_object(state):
    match state:
        case Model(a=found) | Data(a=found):
            return found


def test_an_object_of_the_same_type_is_an_ordinary_one():
    for kind in (Model, Data):
        reads = TwinReads(kind(), frozenset({"a", "b"}))
        made = type(reads.twin)(a=7)
        assert type(made) is kind
        assert made == kind(a=7)


OF_OBJECTS = {
    "attribute": lambda s: s.a,
    "getattr": lambda s: getattr(s, "a", None),
    "attrgetter": operator.attrgetter("a"),
    "match": match_object,
    "property": lambda s: s.double // 2,
}
WHOLE_OBJECTS = {
    "repr": repr,
    "str": str,
    "equal": lambda s: s == type(s)(),
    "vars": lambda s: dict(vars(s)),
    "__dict__": lambda s: dict(s.__dict__),
    "method": lambda s: s.total(),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda s: pickle.loads(pickle.dumps(s)),
}
OF_MODELS = {
    "model_dump": lambda s: s.model_dump(),
    "model_dump_json": lambda s: s.model_dump_json(),
    "model_copy": lambda s: s.model_copy(update={"a": 5}),
    "from the class": lambda s: Model.model_dump(s),
    "iterate": lambda s: list(s),
    "fields set": lambda s: s.model_fields_set,
}
OF_DATA = {
    "asdict": dataclasses.asdict,
    "astuple": dataclasses.astuple,
    "replace": lambda s: dataclasses.replace(s, a=5),
}


@pytest.mark.parametrize("kind", [Model, Data])
@pytest.mark.parametrize("how", OF_OBJECTS)
def test_reading_one_attribute_notes_one(how, kind):
    reads = TwinReads(kind(), frozenset({"a", "b"}))
    assert isinstance(reads.twin, kind)
    assert OF_OBJECTS[how](reads.twin) == 1
    assert set(reads.given) == {"a"}


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        *((how, kind) for how in WHOLE_OBJECTS for kind in (Model, Data)),
        *((how, Model) for how in OF_MODELS),
        *((how, Data) for how in OF_DATA),
    ],
)
def test_using_the_object_as_a_whole_notes_every_attribute(how, kind):
    use = {**WHOLE_OBJECTS, **OF_MODELS, **OF_DATA}[how]
    reads = TwinReads(kind(), frozenset({"a", "b"}))
    assert use(reads.twin) == use(kind())
    assert {"a", "b"} <= set(reads.given)
    assert reads.hold_for(kind())
    assert not reads.hold_for(kind(b=[3]))


@pytest.mark.parametrize("kind", [Model, Data])
def test_a_field_may_be_set_and_is_no_reading_from_then_on(kind):
    reads = TwinReads(kind(), frozenset({"a", "b"}))
    reads.twin.a = 3
    assert (reads.twin.a, reads.given) == (3, {})
    reads.retire()
    reads.twin.a = 4
    assert type(reads.twin) is kind


@pytest.mark.parametrize("kind", [Model, Data])
def test_changing_the_object_in_another_way_ends_the_run(kind):
    reads = TwinReads(kind(), frozenset({"a", "b"}))
    with pytest.raises(EarlyRunAbandoned):
        reads.twin.other = 3
    with pytest.raises(EarlyRunAbandoned):
        del reads.twin.a


@pytest.mark.parametrize("kind", [Model, Data])
def test_what_is_only_given_back_is_filled_in_from_the_real_state(kind):
    reads = TwinReads(kind(), frozenset({"a", "b"}), frozenset({"b"}))
    reads.twin.a = 3
    twin = reads.twin
    reads.look_at_result(twin)
    reads.retire()
    real = kind()
    real.a, real.b = 1, "real"
    made = reads.settle(twin, real, lambda value: value)
    assert (made.a, made.b, type(made)) == (3, "real", kind)
    assert "b" not in reads.given
