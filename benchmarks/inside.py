"""Measure functions whose independent calls run together: plain, rewritten, and written by hand.

Run `python -m benchmarks.inside`. A call of the fake model takes 0.2 s; each figure is the median
of `--rounds` runs after one to warm up, with the lowest and the highest, all variants in turn in
one process. The functions have the shapes of nodes of public graphs: a grade for each document,
clauses that are checked one by one, captions, a digest with two calls for each topic, three calls
in a row. "By hand" is LangChain's own way: `batch`, or a pool of threads where one call needs
another.

The last rows have nothing to gain: a chat history that grows, and the same loop with a model that
answers at once, which shows what running ahead costs.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from langgraph_parallel import concurrent_calls

CALL_S = 0.2


class SlowModel(BaseChatModel):
    """Answers after a while with the end of what it was asked."""

    wait_s: float = CALL_S

    @property
    def _llm_type(self) -> str:
        return "slow"

    def _generate(self, messages: Any, *_: Any, **__: Any) -> Any:
        if self.wait_s:
            time.sleep(self.wait_s)
        answer = AIMessage(content=str(messages[-1].content)[-40:], id="1")
        return ChatResult(generations=[ChatGeneration(message=answer)])


MODEL = SlowModel()
QUICK = SlowModel(wait_s=0)
WORDS = [f"part {number}" for number in range(12)]


def grade(docs: list[str]) -> list[str]:
    kept = []
    for doc in docs:
        answer = MODEL.invoke(f"Is this relevant? {doc}")
        if "3" not in answer.content:
            kept.append(doc)
    return kept


def grade_by_hand(docs: list[str]) -> list[str]:
    answers = MODEL.batch([f"Is this relevant? {doc}" for doc in docs])
    return [doc for doc, answer in zip(docs, answers, strict=True) if "3" not in answer.content]


def check(clauses: list[str]) -> dict[str, str]:
    found = {}
    number = 1
    for clause in clauses:
        prompt = f"Clause {number}: {clause}"
        found[clause] = MODEL.invoke(prompt).content
        number += 1
    return found


def check_by_hand(clauses: list[str]) -> dict[str, str]:
    prompts = [f"Clause {number}: {clause}" for number, clause in enumerate(clauses, 1)]
    answers = MODEL.batch(prompts)
    return {c: answer.content for c, answer in zip(clauses, answers, strict=True)}


def caption(images: list[str]) -> list[str]:
    return [MODEL.invoke(f"A caption for {image}").content for image in images]


def caption_by_hand(images: list[str]) -> list[str]:
    return [a.content for a in MODEL.batch([f"A caption for {image}" for image in images])]


def digest(topics: list[str]) -> str:
    text = ""
    for topic in topics:
        news = MODEL.invoke(f"News on {topic}").content
        text += f"## {topic}\n" + MODEL.invoke(f"Shorten {news}").content
    return text


def digest_by_hand(topics: list[str]) -> str:
    def one(topic: str) -> str:
        news = MODEL.invoke(f"News on {topic}").content
        return f"## {topic}\n" + MODEL.invoke(f"Shorten {news}").content

    with ThreadPoolExecutor(32) as pool:
        return "".join(pool.map(one, topics))


def three(words: list[str]) -> str:
    market = MODEL.invoke(f"market {words[0]}").content
    rivals = MODEL.invoke(f"rivals {words[0]}").content
    risks = MODEL.invoke(f"risks {words[0]}").content
    return MODEL.invoke(f"{market} {rivals} {risks}").content


def three_by_hand(words: list[str]) -> str:
    parts = MODEL.batch([f"{kind} {words[0]}" for kind in ("market", "rivals", "risks")])
    return MODEL.invoke(" ".join(part.content for part in parts)).content


def history(words: list[str]) -> list[str]:
    said: list[str] = []
    for word in words[:4]:
        said.append(MODEL.invoke(f"{said} {word}").content)
    return said


def quick(docs: list[str]) -> list[str]:
    out = []
    for doc in docs:
        out.append(QUICK.invoke(f"Is this relevant? {doc}").content)  # noqa: PERF401
    return out


def quick_history(words: list[str]) -> list[str]:
    said: list[str] = []
    for word in words:
        said.append(QUICK.invoke(f"{said[-1:]} {word}").content)
    return said


SHAPES: Sequence[tuple[str, int, Callable[..., Any], Callable[..., Any] | None]] = (
    ("a grade for each of 12 documents", 12, grade, grade_by_hand),
    ("12 clauses with a number each", 12, check, check_by_hand),
    ("12 captions in a comprehension", 12, caption, caption_by_hand),
    ("a digest of 12 topics, two calls each", 24, digest, digest_by_hand),
    ("three calls in a row, and one on their answers", 4, three, three_by_hand),
    ("a history that grows (nothing to gain)", 4, history, None),
    ("12 documents, a model that answers at once", 12, quick, None),
    ("a history, a model that answers at once", 12, quick_history, None),
)


def seconds(function: Callable[..., Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    found = function(WORDS)
    return time.perf_counter() - begin, found


def shown(times: list[float]) -> str:
    low, middle, high = min(times), statistics.median(times), max(times)
    if middle < 0.1:
        return f"{1000 * middle:.2f} ms ({1000 * low:.2f}-{1000 * high:.2f})"
    return f"{middle:.2f} s ({low:.2f}-{high:.2f})"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="runs of each variant (default: 5)")
    rounds = parser.parse_args(arguments).rounds
    print(f"LangGraph {version('langgraph')}, Python {platform.python_version()}\n")
    print("| function | calls | plain | rewritten | by hand | same answer |")
    print("|---|--:|--:|--:|--:|---|")
    for name, calls, plain, by_hand in SHAPES:
        variants = [plain, concurrent_calls(plain), *([by_hand] if by_hand else [])]
        times: list[list[float]] = [[] for _ in variants]
        answers = [variant(WORDS) for variant in variants]
        for _ in range(rounds):
            for kept, variant in zip(times, variants, strict=True):
                kept.append(seconds(variant)[0])
        same = all(answer == answers[0] for answer in answers)
        cells = [shown(kept) for kept in times] + ["-"] * (3 - len(variants))
        print(f"| {name} | {calls} | {' | '.join(cells)} | {'yes' if same else 'NO'} |")


if __name__ == "__main__":
    main()
