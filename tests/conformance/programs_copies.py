"""Programs that would notice that they were given a copy."""

import array
import collections
import dataclasses

import numpy as np
from programs import chain, pause, program


def _slow(state):
    pause()
    return {"c": 1}


# -- parts of the state that stay parts -----------------------------------------------------------


def _parts(part, change, show, thing):
    """Return a program that keeps a part of the state, changes the whole and shows the part."""

    def keep(state):
        return {"a": part(state["thing"])}

    def alter(state):
        change(state["thing"])
        return {"b": 1}

    def tell(state):
        return {"d": show(state["a"])}

    return chain(_slow, keep, alter, tell, given={"thing": thing})


@program("part of the state")
def view_of_an_array():
    def alter(thing):
        thing[1] = 9

    return _parts(lambda v: v[1:], alter, lambda v: [float(n) for n in v], np.array([1.0, 2.0]))


@program("part of the state")
def node_by_node_view():
    def keep(state):
        return {"a": state["thing"][1:]}

    def alter(state):
        state["thing"][1] = 9
        return {"b": 1}

    def tell(state):
        return {"d": [float(n) for n in state["a"]]}

    return chain(_slow, keep, alter, tell, given={"thing": np.array([1.0, 2.0])})


class Item:
    def __init__(self):
        self.n = 0


def _held(hold, show):
    def keep(state):
        return {"a": hold(state["thing"])}

    def alter(state):
        state["thing"].n = 9
        return {"b": 1}

    def tell(state):
        return {"d": show(state["a"])}

    return chain(_slow, keep, alter, tell, given={"thing": Item()})


@program("part of the state")
def element_of_a_set():
    def keep(state):
        return {"a": {state["thing"]}}

    def alter(state):
        state["thing"].n = 9
        return {"b": 1}

    def tell(state):
        return {"d": [item.n for item in state["a"]]}

    return chain(_slow, keep, alter, tell, given={"thing": Item()})


@program("part of the state")
def key_of_a_dictionary():
    return _held(lambda thing: {thing: 1}, lambda held: [item.n for item in held])


@program("part of the state")
def element_of_a_deque():
    return _held(lambda thing: collections.deque([thing]), lambda held: held[0].n)


@program("part of the state")
def bytes_behind_a_view():
    def keep(state):
        return {"a": [state["thing"]]}

    def alter(state):
        state["thing"][0] = 9
        return {"b": 1}

    def tell(state):
        return {"d": list(state["a"][0])}

    return chain(_slow, keep, alter, tell, given={"thing": array.array("i", [1, 2])})


# -- identity -------------------------------------------------------------------------------------

DEFAULT: dict = {"k": 0}
EMPTY: list = []
SENTINEL = Item()


def _identity(key, value, ask):
    def give(state):
        return {key: value}

    return chain(give, _slow, ask)


@program("identity")
def of_a_dictionary():
    def ask(state):
        return {"b": "default" if state["table"] is DEFAULT else "own"}

    return _identity("table", DEFAULT, ask)


@program("identity")
def of_a_list():
    def ask(state):
        return {"b": "own" if state["items"] is not EMPTY else "default"}

    return _identity("items", EMPTY, ask)


@program("identity")
def by_id():
    def ask(state):
        return {"b": id(state["table"]) == id(DEFAULT)}

    return _identity("table", DEFAULT, ask)


@program("identity")
def of_a_sentinel():
    def ask(state):
        return {"b": state["thing"] is SENTINEL}

    return _identity("thing", SENTINEL, ask)


@program("identity")
def of_equal_objects_that_hash_by_id():
    @dataclasses.dataclass
    class Point:
        n: int

        __hash__ = object.__hash__

    point = Point(1)
    names = {point: "home"}

    def ask(state):
        return {"b": names.get(state["thing"], "nowhere")}

    return _identity("thing", point, ask)


# -- order of sets --------------------------------------------------------------------------------


def _worn():
    """Return a set whose order shows that it once was larger: 64 collides with 0 in a small one."""
    worn = set(range(100))
    for n in set(worn) - {1, 64}:
        worn.discard(n)
    return worn


@program("order of a set")
def by_list():
    def give(state):
        return {"tags": _worn()}

    def ask(state):
        return {"b": list(state["tags"])}

    return chain(give, _slow, ask)


@program("order of a set")
def by_loop_and_pop():
    def give(state):
        return {"tags": _worn()}

    def ask(state):
        found = [n for n in state["tags"]]  # noqa: C416
        return {"b": [found, next(iter(state["tags"]))]}

    return chain(give, _slow, ask)


@program("order of a set")
def inside_a_dictionary():
    def give(state):
        return {"table": {"tags": [_worn()]}}

    def ask(state):
        return {"b": ",".join(map(str, state["table"]["tags"][0]))}

    return chain(give, _slow, ask)
