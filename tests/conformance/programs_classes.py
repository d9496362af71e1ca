"""Programs whose nodes run methods that a class, a model or a reducer brings along."""

import collections
import collections.abc
import itertools
from typing import Annotated, Any, ClassVar, TypedDict

from langgraph.graph import START, StateGraph
from programs import Program, chain, pause, program
from pydantic import AfterValidator, BaseModel, Field, field_validator


class Counter:
    calls = 0

    def ask(self, text):
        pause()
        self.calls += 1
        return text.upper()


# -- state of the node's own object ---------------------------------------------------------------


class Agent:
    def __init__(self):
        self.last = None
        self.seen = []

    def find(self, state):
        pause()
        self.last = "gold"
        return {"a": 1}

    def collect(self, state):
        pause()
        self.seen.append("gold")
        return {"a": 1}

    def tell(self, state):
        return {"b": self.last}

    def list_all(self, state):
        return {"b": list(self.seen)}


@program("state of self")
def attribute():
    agent = Agent()
    return chain(agent.find, agent.tell)


@program("state of self")
def list_of_it():
    agent = Agent()
    return chain(agent.collect, agent.list_all)


@program("state of self")
def callable_objects():
    class Step:
        notes: ClassVar[list] = []

        def __init__(self, key):
            self.key = key

        def __call__(self, state):
            if self.key == "a":
                pause()
            self.notes.append(self.key)
            return {self.key: len(self.notes)}

    Step.notes = []
    return chain(Step("a"), Step("b"))


# -- an object in a registry ----------------------------------------------------------------------


class Desk:
    given = 0

    @property
    def ticket(self):
        self.given += 1
        return self.given

    def __getitem__(self, key):
        return self.ticket

    def __iter__(self):
        yield self.ticket


@program("object in a registry")
def property_of_it():
    desks = {"main": Desk()}

    def first(state):
        pause()
        return {"a": desks["main"].ticket}

    def second(state):
        return {"b": desks["main"].ticket}

    return chain(first, second)


@program("object in a registry")
def item_of_it():
    desks = [Desk()]

    def first(state):
        pause()
        return {"a": desks[0]["k"]}

    def second(state):
        return {"b": desks[0]["k"]}

    return chain(first, second)


@program("object in a registry")
def iteration_of_it():
    desks = ({"main": Desk()},)

    def first(state):
        pause()
        return {"a": [*desks[0]["main"]]}

    def second(state):
        return {"b": [n for desk in desks for n in desk["main"]]}

    return chain(first, second)


# -- pydantic -------------------------------------------------------------------------------------


@program("pydantic")
def nested_factory():
    numbers = itertools.count(1)

    class Tag(BaseModel):
        id: int = Field(default_factory=lambda: next(numbers))

    class Note(BaseModel):
        text: str
        tags: list[Tag]

    def first(state):
        pause()
        return {"a": Note(text="x", tags=[{}]).tags[0].id}

    def second(state):
        return {"b": Note(text="y", tags=[{}, {}]).tags[1].id}

    return chain(first, second)


@program("pydantic")
def annotated_validator():
    seen = []

    def keep(value):
        seen.append(value)
        return f"{value} {len(seen)}"

    class Note(BaseModel):
        text: Annotated[str, AfterValidator(keep)]

    def first(state):
        pause()
        return {"a": Note(text="x").text}

    def second(state):
        return {"b": Note(text="y").text}

    return chain(first, second)


@program("pydantic")
def validator_of_a_nested_model():
    seen = []

    class Tag(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def _keep(cls, value):
            seen.append(value)
            return value

    class Note(BaseModel):
        tag: Tag | None = None

    def first(state):
        pause()
        return {"a": Note(tag={"name": "x"}).tag.name}

    def second(state):
        return {"b": list(seen)}

    return chain(first, second)


# -- spreading and formatting ---------------------------------------------------------------------


class Settings(collections.abc.Mapping):
    def __init__(self):
        self.reads = []

    def __getitem__(self, key):
        self.reads.append(key)
        return len(self.reads)

    def __iter__(self):
        return iter(["level"])

    def __len__(self):
        return 1

    @property
    def turn(self):
        return self["turn"]


def _spreads(take):
    """Return a program whose nodes take the same settings."""
    settings = Settings()

    def first(state):
        pause()
        return {"a": take(settings)}

    def second(state):
        return {"b": take(settings)}

    return chain(first, second)


@program("spread of a mapping")
def in_a_display():
    return _spreads(lambda settings: {**settings})


@program("spread of a mapping")
def in_a_call():
    return _spreads(lambda settings: dict(**settings))


@program("spread of a mapping")
def by_dict():
    return _spreads(lambda settings: dict(settings))


@program("spread of a mapping")
def by_format():
    return _spreads(lambda settings: "{0.turn}".format(settings))  # noqa: UP030, UP032


@program("spread of a mapping")
def by_a_class_pattern():
    def take(settings):
        match settings:
            case Settings(turn=n):
                return n

    return _spreads(take)


@program("spread of a mapping")
def by_a_mapping_pattern():
    def take(settings):
        match settings:
            case {"level": n}:
                return n

    return _spreads(take)


# -- a reducer with state of its own --------------------------------------------------------------


def _reduced(reducer, *nodes, **more):
    """Return a program over two keys with one reducer; nodes have names against their order."""

    class Reduced(TypedDict, total=False):
        notes: Annotated[list, reducer]
        facts: Annotated[list, reducer]
        b: Any

    builder = StateGraph(Reduced)
    names = [f"{letter}_node" for letter in "zyx"]
    builder.add_sequence(list(zip(names, nodes, strict=False)))
    builder.add_edge(START, names[0])
    return Program(graph=builder.compile(), given={"notes": [], "facts": []}, **more)


def _note(state):
    pause()
    return {"notes": ["n"]}


def _fact(state):
    return {"facts": ["f"]}


@program("reducer with a state")
def that_numbers():
    numbers = itertools.count()

    def reducer(old, new):
        return old + [f"{item}{next(numbers)}" for item in new]

    return _reduced(reducer, _note, _fact)


@program("reducer with a state")
def that_fills_an_index():
    index = {}

    def reducer(old, new):
        index.update(dict.fromkeys(new, len(index)))
        return old + new

    def count(state):
        return {"b": sorted(index)}

    return _reduced(reducer, _note, count)


@program("reducer with a state")
def that_is_an_object():
    class Reducer:
        seen = 0

        def __call__(self, old, new):
            self.seen += 1
            return old + [(item, self.seen) for item in new]

    return _reduced(Reducer(), _note, _fact)
