"""Measure a support desk of eight model calls whose state is a dict, a dataclass or a model.

Run `python -m benchmarks.state_classes`. A call of the fake model takes 0.3 s; each figure is the
median of `--rounds` runs after one to warm up, with the lowest and the highest, all variants in one
process, in turn. Four calls need the ticket alone, and then three rounds are left:

    classify, detect_language, find_order, find_mood -> find_policy -> draft_answer -> translate,
                                                                                       summarize

"by hand" is LangGraph's own fan-out of the same nodes: edges as its documentation advises. The
graph that is given to `parallelize` is the sequential one. In the second form of a class, nodes set
a field and return the object. Where every node adds to one list, `fanout` keeps the order in which
LangGraph folds, which is that of the names.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import operator
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph import START, StateGraph
from pydantic import BaseModel, Field, field_validator
from typing_extensions import TypedDict

from langgraph_parallel import parallelize

CALL_S = 0.3
TICKET = {"ticket": "Where is my order? I have waited for two weeks!"}


class SlowModel(BaseChatModel):
    """Answers after a while with the beginning of what it was asked."""

    @property
    def _llm_type(self) -> str:
        return "slow"

    def _generate(self, messages: Any, *_: Any, **__: Any) -> Any:
        time.sleep(CALL_S)
        answer = AIMessage(content=str(messages[0].content)[:40])
        return ChatResult(generations=[ChatGeneration(message=answer)])


MODEL = SlowModel()


def ask(prompt: str) -> str:
    """Ask the model."""
    return str(MODEL.invoke(prompt).content)


class DictDesk(TypedDict, total=False):
    """The state as a dict."""

    ticket: str
    category: str
    language: str
    order: str
    mood: str
    policy: str
    answer: str
    translated: str
    summary: str


@dataclass
class SheetDesk:
    """The state as a dataclass."""

    ticket: str
    category: str = ""
    language: str = ""
    order: str = ""
    mood: str = ""
    policy: str = ""
    answer: str = ""
    translated: str = ""
    summary: str = ""


class ModelDesk(BaseModel):
    """The state as a pydantic model."""

    ticket: str
    category: str = ""
    language: str = ""
    order: str = ""
    mood: str = ""
    policy: str = ""
    answer: str = ""
    translated: str = ""
    summary: str = ""


class StrictDesk(ModelDesk):
    """The state as a pydantic model with constraints, a factory and a validator."""

    ticket: str = Field(min_length=1)
    tags: list[str] = Field(default_factory=lambda: ["new"])
    score: int = Field(0, ge=0, le=5)
    audit: Annotated[list[str], operator.add] = []

    @field_validator("category")
    @classmethod
    def is_short(cls, value: str) -> str:
        """Refuse what is no category."""
        if len(value) > 80:
            msg = "a category has no more than 80 letters"
            raise ValueError(msg)
        return value


# The desk as a dict.


def classify(state: Any) -> Any:
    return {"category": ask(f"category: {state['ticket']}")}


def detect_language(state: Any) -> Any:
    return {"language": ask(f"language: {state['ticket']}")}


def find_order(state: Any) -> Any:
    return {"order": ask(f"order: {state['ticket']}")}


def find_mood(state: Any) -> Any:
    return {"mood": ask(f"mood: {state['ticket']}")}


def find_policy(state: Any) -> Any:
    return {"policy": ask(f"policy: {state['category']}")}


def draft_answer(state: Any) -> Any:
    return {"answer": ask(f"answer: {state['mood']} {state['order']} {state['policy']}")}


def translate(state: Any) -> Any:
    return {"translated": ask(f"translated: {state['answer']} {state['language']}")}


def summarize(state: Any) -> Any:
    return {"summary": ask(f"summary: {state['answer']} {state['category']}")}


OF_DICTS = (
    *(classify, detect_language, find_order, find_mood),
    *(find_policy, draft_answer, translate, summarize),
)


# The desk as an object, of which nodes return a part.


class Part:
    """The same nodes, on an object."""

    @staticmethod
    def classify(state: Any) -> Any:
        return {"category": ask(f"category: {state.ticket}")}

    @staticmethod
    def detect_language(state: Any) -> Any:
        return {"language": ask(f"language: {state.ticket}")}

    @staticmethod
    def find_order(state: Any) -> Any:
        return {"order": ask(f"order: {state.ticket}")}

    @staticmethod
    def find_mood(state: Any) -> Any:
        return {"mood": ask(f"mood: {state.ticket}")}

    @staticmethod
    def find_policy(state: Any) -> Any:
        return {"policy": ask(f"policy: {state.category}")}

    @staticmethod
    def draft_answer(state: Any) -> Any:
        return {"answer": ask(f"answer: {state.mood} {state.order} {state.policy}")}

    @staticmethod
    def translate(state: Any) -> Any:
        return {"translated": ask(f"translated: {state.answer} {state.language}")}

    @staticmethod
    def summarize(state: Any) -> Any:
        return {"summary": ask(f"summary: {state.answer} {state.category}")}


class Whole:
    """The same nodes, which set a field and return the object."""

    @staticmethod
    def classify(state: Any) -> Any:
        state.category = ask(f"category: {state.ticket}")
        return state

    @staticmethod
    def detect_language(state: Any) -> Any:
        state.language = ask(f"language: {state.ticket}")
        return state

    @staticmethod
    def find_order(state: Any) -> Any:
        state.order = ask(f"order: {state.ticket}")
        return state

    @staticmethod
    def find_mood(state: Any) -> Any:
        state.mood = ask(f"mood: {state.ticket}")
        return state

    @staticmethod
    def find_policy(state: Any) -> Any:
        state.policy = ask(f"policy: {state.category}")
        return state

    @staticmethod
    def draft_answer(state: Any) -> Any:
        state.answer = ask(f"answer: {state.mood} {state.order} {state.policy}")
        return state

    @staticmethod
    def translate(state: Any) -> Any:
        state.translated = ask(f"translated: {state.answer} {state.language}")
        return state

    @staticmethod
    def summarize(state: Any) -> Any:
        state.summary = ask(f"summary: {state.answer} {state.category}")
        return state


def noted(node: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let a node add its name to the list of what was done."""

    @functools.wraps(node)
    def run(state: Any) -> Any:
        return {**node(state), "audit": [node.__name__]}

    return run


NAMES = [node.__name__ for node in OF_DICTS]
OF_PARTS = [getattr(Part, name) for name in NAMES]
OF_WHOLES = [getattr(Whole, name) for name in NAMES]
FORMS: Mapping[str, tuple[Any, Sequence[Callable[[Any], Any]]]] = {
    "TypedDict": (DictDesk, OF_DICTS),
    "dataclass": (SheetDesk, OF_PARTS),
    "dataclass, returned": (SheetDesk, OF_WHOLES),
    "pydantic": (ModelDesk, OF_PARTS),
    "pydantic, returned": (ModelDesk, OF_WHOLES),
    "pydantic, validated": (StrictDesk, OF_PARTS),
    "pydantic, one list for all": (StrictDesk, [noted(node) for node in OF_PARTS]),
}


def build(schema: Any, nodes: Sequence[Any], *, by_hand: bool = False) -> Any:
    """Return the desk in sequence, or with the edges that its nodes need."""
    builder = StateGraph(schema)
    for name, node in zip(NAMES, nodes, strict=True):
        builder.add_node(name, node)
    if not by_hand:
        for source, target in itertools.pairwise([START, *NAMES]):
            builder.add_edge(source, target)
        return builder.compile()
    first = NAMES[:4]
    for name in first:
        builder.add_edge(START, name)
    builder.add_edge(first, "find_policy")
    builder.add_edge("find_policy", "draft_answer")
    builder.add_edge("draft_answer", "translate")
    builder.add_edge("draft_answer", "summarize")
    return builder.compile()


def variants(form: str) -> dict[str, Any]:
    """Return the graphs to compare; a returned object cannot be fanned out by hand."""
    schema, nodes = FORMS[form]
    plain = build(schema, nodes)
    by_hand = build(schema, OF_PARTS if nodes is OF_WHOLES else nodes, by_hand=True)
    return {
        "sequential": plain,
        "by hand": by_hand,
        "fanout": parallelize(plain),
        "exact": parallelize(plain, mode="exact"),
    }


def measure(graphs: Mapping[str, Any], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each graph's runs, the first one left out."""
    seconds: dict[str, list[float]] = {name: [] for name in graphs}
    for _ in range(rounds + 1):
        for name, graph in graphs.items():
            start_s = time.perf_counter()
            graph.invoke(TICKET)
            seconds[name].append(time.perf_counter() - start_s)
    return {name: taken[1:] for name, taken in seconds.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5, help="runs after the first (default: 5)")
    rounds = parser.parse_args().rounds
    print(
        f"python {platform.python_version()}, langgraph {version('langgraph')}, "
        f"a call takes {CALL_S} s, median of {rounds} (lowest-highest)\n"
    )
    print("| state | variant | s | speed-up | predicted | same answer |")
    print("|---|---|---:|---:|---:|---|")
    for form in FORMS:
        graphs = variants(form)
        taken = measure(graphs, rounds)
        expected = graphs["sequential"].invoke(TICKET)
        before = statistics.median(taken["sequential"])
        for name, graph in graphs.items():
            report = getattr(graph, "parallel_report", None)
            predicted = f"{report.speedup:.2f}x" if report else ""
            own = taken[name]
            now = statistics.median(own)
            same = "yes" if graph.invoke(TICKET) == expected else "NO"
            spread = f"{now:.2f} ({min(own):.2f}-{max(own):.2f})"
            print(f"| {form} | {name} | {spread} | {before / now:.2f}x | {predicted} | {same} |")


if __name__ == "__main__":
    main()
