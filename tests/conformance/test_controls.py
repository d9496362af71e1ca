"""Pairs that have nothing to tell one another: equal answers, and some must be parallel."""

import textwrap

import pytest
from grammar_tables import PRELUDE
from runs import MODES, TALLY, outcome, written

SETUP = """
@dataclasses.dataclass(frozen=True)
class Settings:
    name: str = "gpu"
    limits: tuple = (1, 2)


class Service:
    kind = "fast"

    def __init__(self):
        self.name = "desk"
        self.items = [1, 2]
        self.first_count = 0
        self.second_count = 0

    def label(self, text):
        return f"{self.name}: {text}"

    @property
    def title(self):
        return self.name.title()


class Letter(enum.Enum):
    A = 1


class Answer(BaseModel):
    text: str
    score: int = 0


service, settings = Service(), Settings()
registry = {"desk": Service(), "shop": Service()}
table, words, allowed = {"a": 1, "b": 2}, ["x", "y"], frozenset({"x"})
pattern = re.compile("[a-z]")
greet = functools.partial("{} {}".format, "hello")
"""

MUST = {
    "attribute-of-service": "r = service.name",
    "method-that-reads": 'r = service.label("x")',
    "class-attribute": "r = Service.kind",
    "frozen-dataclass": "r = f'{settings.name} {settings.limits[0]}'",
    "item-of-dict": 'r = table["a"]',
    "own-list": 'r = []\nr.append("a")\nr += ["b"]',
    "own-dict": 'd = {"a": 1}\nd["b"] = 2\nr = sorted(d.items())',
}
"""Both nodes do this; they must share a superstep."""

MAY = {
    "property-that-reads": "r = service.title",
    "enum-member": "r = Letter.A.value",
    "element-of-list": "r = words[0]",
    "length": "r = len(words) + len(table)",
    "membership": 'r = ("x" in allowed, "a" in table)',
    "loop": "r = 0\nfor word in words:\n    r += len(word)",
    "comprehension": "r = [word.upper() for word in words]",
    "spread": 'r = {**table, "c": [*words]}',
    "text-of-dict": "r = f'{table}'",
    "json": "r = json.dumps(table)",
    "deepcopy": "r = copy.deepcopy(table)",
    "sorted": "r = sorted(table, key=table.get)",
    "regular-expression": 'r = pattern.findall("a1b")',
    "partial": 'r = greet("you")',
    "isinstance": "r = isinstance(service, Service)",
    "pydantic-model": 'r = Answer(text="a").model_dump()',
    "new-service": "r = Service().title",
    "new-dataclass": 'r = Settings("a").name',
    "getattr-by-name": 'r = getattr(service, "name")',
    "match": 'match table:\n    case {"a": r}:\n        pass',
    "element-in-registry": 'r = registry["desk"].name',
}
APART = {
    "attributes": ("service.first_count += 1\nr = 0", "service.second_count += 1\nr = 0"),
    "attribute-and-other": ("service.first_count = 1\nr = 0", "r = service.name"),
    "keys": ('table["c"] = 1\nr = 0', 'table["d"] = 1\nr = 0'),
    "key-and-other": ('table["c"] = 1\nr = 0', 'r = table["a"]'),
    "objects": ("service.items.append(1)\nr = 0", "r = [*words]"),
    "registry": ('registry["desk"].items.append(1)\nr = 0', 'r = registry["shop"].items[0]'),
    "same-class": ("one = Service()\none.items.append(1)\nr = one.items", "r = Service().items"),
}
"""The first node does one thing, the second one another that it cannot notice."""

CONTROLS = {
    **{f"both {name}": (body, body) for name, body in {**MUST, **MAY}.items()},
    **{f"apart {name}": bodies for name, bodies in APART.items()},
}


def rendered(first, second):
    nodes = [
        f'def {name}(state: State):\n{textwrap.indent(body, "    ")}\n    return {{"{key}": r}}\n'
        for name, body, key in (
            ("first", f"time.sleep(PAUSE)\n{first}", "a"),
            ("second", second, "b"),
        )
    ]
    maker = 'def make():\n    return first, second, {"x": 1}, None, None\n'
    return "\n\n".join([PRELUDE, SETUP, *nodes, maker])


@pytest.mark.parametrize("name", CONTROLS)
def test_pairs_that_share_nothing(name, tmp_path):
    with written(rendered(*CONTROLS[name]), tmp_path) as fresh:
        expected, _ = outcome(fresh(), "pair")
        for mode in MODES:
            found, moved = outcome(fresh(), "pair", mode)
            TALLY.control(name, mode, moved=moved)
            assert found == expected, mode
            if mode == "fanout" and name.removeprefix("both ") in MUST:
                assert moved, "the two nodes must share a superstep"
