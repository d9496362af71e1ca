"""Random LangGraph graphs whose nodes are real Python source, for properties of `parallelize`."""

import copy
import functools
import itertools
import linecache
import operator
from collections.abc import Callable
from typing import Annotated, Any

from hypothesis import note
from hypothesis import strategies as st
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Overwrite, Send, interrupt
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    a: str
    b: str
    c: str
    d: str
    e: str
    f: str
    n: int
    items: list[str]
    other: list[str]
    log: Annotated[list[str], operator.add]
    tags: Annotated[list[str], operator.add]
    seen: Annotated[dict[str, str], lambda old, new: {**old, **new}]
    best: Annotated[int, lambda old, new: max(old, new)]


TEXT = ("a", "b", "c", "d", "e", "f")
INPUT = {**{key: key.upper() for key in TEXT}, "n": 0, "items": ["i"], "other": ["o"]}
LISTS = ("items", "other")
_numbers = itertools.count()


class Keeper:
    def __init__(self, part):
        self.part = part

    @property
    def text(self):
        return self.part


@functools.singledispatch
def kind(value):
    return "?" + str(value)


@kind.register
def _(value: str):
    return value


def pick(s, key):
    return s[key]


def stamp(out, key, value):
    out[key] = value
    return out


_IN_REACH: tuple[Any, ...] = (copy, functools, operator, Command, Overwrite, Keeper, kind)
_IN_REACH += (pick, stamp)
"""What the code of a node may name."""

# Each reads one text key `{k}` of the state into `v`, in a different spelling.
READS = (
    "v = state['{k}']",
    "v = state.get('{k}', '')",
    "g = state.get; v = g('{k}')",
    "s = state; v = s['{k}']",
    "s = dict(state); v = s['{k}']",
    "v = pick(state, '{k}')",
    "v = f\"{{state['{k}']}}\"",
    "v = ''.join(state[key] for key in ('{k}', '{j}'))",
    "v = (lambda: state['{k}'])()",
    "key = '{k}'; look = lambda: state[key]; key = '{j}'; v = look()",
    "_, v = state['{j}'], state['{k}']",
    "v = [x for x in (state['{k}'],)][0]",
    "v = '%(a)s' % state",
    "v = state['{k}'] if '{j}' in state else ''",
    "match state:\n        case {{'{k}': v}}: pass\n        case _: v = ''",
    "try:\n        v = state['{k}']\n    except KeyError:\n        v = 'none'",
    "v = ''\n    for key in ['{k}', '{j}']:\n        v += state[key]",
    "v = str(len(state['items']))",
    "v = next(map(state.get, ('{k}', '{j}')))",
    "v = operator.itemgetter('{k}')(state)",
    "v = (state | {{}})['{k}']",
    "v = copy.copy(state)['{k}']",
    "v = state.__getitem__('{k}')",
    "v = next(part for key, part in state.items() if key == '{k}')",
    "v = Keeper(state['{k}']).text",
    "v = kind(state['{k}'])",
    "v = functools.partial(pick, key='{k}')(state)",
    "v = str(state.get('seen', {{}}).get('{j}', state['{k}']))",
    "v = ''.join(state.get('log', [])[-1:]) or state['{k}']",
    "v = '-'.join(sorted(state['other'], key=lambda x: x + state['{k}']))",
)
# Side effects on state values and local containers.
ACTIONS = (
    "",
    "",
    "",
    "state['{l}'].append(v)",
    "x = state['{l}']; x += [v]",
    "box = [state['{l}']]; box[0].append(v)",
    "box = []; box.append(v); v = box[0]",
    "state['{k}'] = v",
    "x = list(state['{l}']); x.append(v); v = x[-1]",
    "if v.startswith('z'):\n        raise ValueError(v)",
    "if len(v) > 6:\n        raise ValueError('too long: ' + v[:6])",
    "[state['{l}'].append(q) for q in [v]]",
    "keep = Keeper(state['{l}']); keep.part.append(v)",
    "x, *y = [state['{l}'], v]; x.insert(0, v)",
    "x = copy.copy(state)['{l}']; x.append(v)",
    "x = [*state['{l}']]; x.append(v)",
    "x = {{'it': state['{l}']}}; x['it'].extend(v[:1])",
    "if state['{k}'] == state['{j}'] and '{k}' != '{j}':\n        raise ValueError('same')",
)
# What is returned; `{m}` is a text key.
RETURNS = (
    "return {{'{m}': v[-4:] + '{name}'}}",
    "return {{'{m}': v[-4:], 'log': ['{name}:' + v]}}",
    "return {{'log': ['{name}:' + v], 'tags': ['{name}']}}",
    "out = {{'{m}': v[-4:]}}; out['log'] = ['{name}']; return out",
    "return stamp({{}}, '{m}', v[-3:] + '{name}')",
    "return {{'items': [*state['items'], v[-3:]]}}",
    "return {{'{m}': v[-4:]}} if len(v) % 2 else {{'log': [v]}}",
    "return {{**{{'{m}': v[-4:]}}, 'n': len(v)}}",
    "return None",
    "return {{'tags': [v[-2:]] + state['other']}}",
    "return dict({m}=v[-4:], log=['{name}'])",
    "return {{**state, '{m}': v[-4:]}}",
    "return {{**state, '{m}': v[-4:], 'log': ['{name}'], 'tags': []}}",
    "state['{m}'] = v[-4:]; return state",
    "s = dict(state); s['{m}'] = v[-4:]; s['tags'] = ['{name}']; return s",
    "s = state.copy(); s.update({m}=v[-3:]); s['log'] = []; return s",
    "return state | {{'{m}': v[-4:], 'tags': [v[-1:]]}}",
    "out = {{**state}}; out['{m}'] = out['{k}'][-3:]; return out",
    "return {{'seen': {{v[:1]: '{name}'}}, 'best': len(v)}}",
    "return {{'seen': {{'{k}': v[-3:]}}, 'log': ['{name}']}}",
    "return {{'log': Overwrite([v[-3:]])}}",
    "return Command(update={{'{m}': v[-4:], 'log': ['{name}']}})",
    "return [Command(update={{'log': [v[-2:]]}}), {{'{m}': v[-3:], 'log': ['{name}']}}]",
    "return {{key: v[-3:] for key in ('{m}', '{j}')}}",
    "return dict(zip(['{m}'], [v[-3:]]))",
)


def spellings(actions: tuple[str, ...], returns: tuple[str, ...]) -> st.SearchStrategy:
    """Draw the parts that a node is made of."""
    texts, lists = st.sampled_from(TEXT), st.sampled_from(LISTS)
    parts = (READS, actions, returns)
    return st.tuples(*map(st.sampled_from, parts), texts, texts, texts, lists)


SPELLINGS = spellings(ACTIONS, RETURNS)
_CALM_ACTIONS = tuple(action for action in ACTIONS if "raise" in action or "state" not in action)
_CALM_RETURNS = tuple(result for result in RETURNS if "state" not in result)
CALM = spellings(_CALM_ACTIONS, _CALM_RETURNS)
"""Nodes that leave the values of the state as they are: such graphs have something to gain."""
STEADY = spellings(tuple(act for act in _CALM_ACTIONS if "raise" not in act), _CALM_RETURNS)
"""Calm nodes that never fail."""

NAMES = st.lists(st.sampled_from("abcdefghij"), unique=True, min_size=2, max_size=6)


def make_node(name: str, spelling: tuple[str, ...]) -> Callable[..., Any]:
    """Compile one node from its source, which stays readable to the analysis."""
    read, action, result, k, j, m, into = spelling
    parts = [p.format(k=k, j=j, m=m, l=into, name=name) for p in (read, action, result)]
    body = "".join(f"    {part}\n" for part in parts if part)
    source = f"def node(state):\n{body}"
    note(f"# {name}\n{body}")
    filename = f"<generated {next(_numbers)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    scope = {part.__name__: part for part in _IN_REACH}
    exec(compile(source, filename, "exec"), scope)
    return scope["node"]


@st.composite
def subgraphs(draw, style):
    """A compiled chain, to be a node of another graph."""
    inner = StateGraph(State)
    names = draw(st.lists(st.sampled_from("pqrs"), unique=True, min_size=2, max_size=3))
    inner.add_sequence([(n, make_node(n, draw(style))) for n in names])
    return inner.add_edge(START, names[0]).compile()


@st.composite
def calm_chains(draw) -> StateGraph:
    """A short chain of nodes that change nothing in place, perhaps with a sub-graph in it."""
    names = draw(st.lists(st.sampled_from("abcdefghij"), unique=True, min_size=2, max_size=4))
    builder = StateGraph(State)
    builder.add_sequence([(name, make_node(name, draw(CALM))) for name in names])
    builder.add_edge(START, names[0])
    if draw(st.sampled_from([False, False, True])):
        builder.add_node("inner", draw(subgraphs(CALM)))
        builder.add_edge(names[-1], "inner")
    return builder


@st.composite
def graphs(draw, beside=SPELLINGS, others=None) -> StateGraph:
    """A chain of nodes, perhaps behind a parallel part, with a loop back or a branch at its end.

    Unless the nodes `beside` one another are calm, the graph itself may have several answers, and
    unless all but one, the `others`, are steady, several errors.
    """
    names = draw(NAMES)
    style = draw(st.sampled_from([SPELLINGS, CALM, CALM]))
    builder = StateGraph(State)
    for name in names:
        builder.add_node(name, make_node(name, draw(style)))
    if draw(st.sampled_from([False, False, True])):
        name = draw(st.sampled_from(names))
        builder.nodes.pop(name)
        builder.add_node(name, draw(subgraphs(style)))
    for u, v in itertools.pairwise(names):
        builder.add_edge(u, v)
    entry = draw(st.sampled_from(["start", "start", "join", "merge", "uneven", "map", "sub-graph"]))
    others = beside if others is None else others
    styles = {"x": beside, "y": others, "z": others}
    made = [make_node(name, draw(spelling)) for name, spelling in styles.items()]
    add_entry(builder, entry, names[0], made)
    shape = draw(st.sampled_from(["chain", "chain", "loop", "branch", "open end"]))
    if shape == "loop":
        builder.add_node("count", lambda state: {"n": state["n"] + 1})
        builder.add_edge(names[-1], "count")
        start = draw(st.sampled_from(names))
        builder.add_conditional_edges("count", make_router(start), [start, END])
    elif shape == "branch":
        builder.add_node("left", make_node("left", draw(SPELLINGS)))
        builder.add_node("right", make_node("right", draw(SPELLINGS)))
        builder.add_edge("left", "right")
        builder.add_conditional_edges(
            names[-1], lambda state: "left" if state["a"] > "B" else "right", ["left", "right"]
        )
    elif shape == "chain":
        builder.add_edge(names[-1], END)
    return builder


def ask(state):
    """Pause once, and note the answer."""
    return {"log": [interrupt("?")]}


@st.composite
def pausing_graphs(draw) -> StateGraph:
    """A chain with a sub-graph in it, in which one node pauses."""
    names = draw(st.lists(st.sampled_from("pqrstu"), unique=True, min_size=2, max_size=5))
    inner = [(name, make_node(name, draw(CALM))) for name in names]
    inner.insert(draw(st.integers(0, len(inner))), ("ask", ask))
    sub = StateGraph(State).add_sequence(inner).add_edge(START, inner[0][0]).compile()
    outer = [(name, make_node(name, draw(CALM))) for name in "ab"]
    outer.insert(draw(st.integers(0, 2)), ("inner", sub))
    return StateGraph(State).add_sequence(outer).add_edge(START, outer[0][0])


def add_entry(builder: StateGraph, entry: str, first: str, made: list[Any]) -> None:
    """Lead to the chain directly, by branches that meet in it, or through a sub-graph."""
    x, y, z = made
    if entry == "start":
        builder.add_edge(START, first)
    elif entry == "map":
        builder.add_node("x", x)
        builder.add_conditional_edges(START, send_two, ["x"])
        builder.add_edge("x", first)
    elif entry == "sub-graph":
        inner = StateGraph(State).add_sequence([("x", x), ("y", y)]).add_edge(START, "x")
        builder.add_node("inner", inner.compile())
        builder.add_edge(START, "inner")
        builder.add_edge("inner", first)
    else:
        for name, node in (("x", x), ("y", y)):
            builder.add_node(name, node)
            builder.add_edge(START, name)
        last = "y"
        if entry == "uneven":
            builder.add_node("z", z)
            builder.add_edge("y", "z")
            last = "z"
        if entry == "merge":
            builder.add_edge("x", first)
            builder.add_edge(last, first)
        else:
            builder.add_edge(["x", last], first)


def send_two(state):
    """Start a node twice, each with a state of its own."""
    return [Send("x", {**copy.deepcopy(INPUT), "a": letter}) for letter in "12"]


def make_router(start: str) -> Callable[..., Any]:
    """Route back to `start` twice."""

    def route(state):
        return start if state["n"] < 2 else END

    return route
