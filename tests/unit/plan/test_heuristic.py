"""The heuristic: what it relaxes, and what it leaves in order."""

from __future__ import annotations

from langgraph_parallel.plan.heuristic import HeuristicAnalyzer
from langgraph_parallel.plan.task import Task


def _tasks(*texts: str) -> list[Task]:
    return [Task(id=str(k), description=text) for k, text in enumerate(texts)]


CALLS = _tasks(
    'get_news_headlines("country": "US")',
    'search_song("query": "Happy")',
    'calculate_discount("original_price": 20, "discount_percentage": 10)',
)


def test_calls_with_all_arguments_given_are_relaxed_with_a_reason() -> None:
    decisions = HeuristicAnalyzer().analyze(CALLS).decisions
    assert {(d.earlier, d.later) for d in decisions if not d.ordered} == {
        ("0", "1"),
        ("0", "2"),
        ("1", "2"),
    }
    assert {d.reason for d in decisions} == {"all arguments of the later call are given"}


def test_same_plan_gives_same_findings() -> None:
    assert HeuristicAnalyzer().analyze(CALLS) == HeuristicAnalyzer().analyze(CALLS)


def test_steps_without_words_stay_in_order() -> None:
    assert HeuristicAnalyzer().analyze(_tasks("第一步", "第二步", "第三步")).decisions == ()
