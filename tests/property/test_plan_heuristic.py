"""What the heuristic frees is bound again by any word of change or reference, in every language."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from langgraph_parallel.plan.heuristic import HeuristicAnalyzer
from langgraph_parallel.plan.heuristic.lexicon import LATIN, load_language
from langgraph_parallel.plan.task import Task

ABOUT = {
    "en": "Find the population of {} today",
    "de": "Suche die Bevölkerung von {}",
    "fr": "Cherche la population de {}",
    "es": "Busca la población de {}",
    "pt": "Pesquise a população de {}",
    "it": "Cerca la popolazione di {}",
}
PLACES = ("Oslo", "Lima", "Kyiv", "Accra", "Quito", "Turin")
ROWS = ("points", "results", "order")


def relaxed(texts):
    tasks = [Task(id=str(k), description=text) for k, text in enumerate(texts)]
    decisions = HeuristicAnalyzer().analyze(tasks).decisions
    return {(int(d.earlier), int(d.later)) for d in decisions if not d.ordered}


def words_of(code, row):
    """Whole words of a row that stand alone."""
    own = load_language(code).listed("own")
    return sorted(w for w in load_language(code).listed(row) - own if "_" not in w and w.isalpha())


@given(st.sampled_from(LATIN), st.lists(st.sampled_from(PLACES), min_size=2, unique=True))
def test_same_question_about_different_names_is_free(code, places):
    found = relaxed([ABOUT[code].format(place) for place in places])
    assert found == {(i, j) for j in range(len(places)) for i in range(j)}


@given(st.sampled_from(LATIN), st.sampled_from(ROWS), st.data())
def test_word_that_refers_back_binds_a_step(code, row, data):
    word = data.draw(st.sampled_from(words_of(code, row)))
    texts = [ABOUT[code].format(place) for place in PLACES[:3]]
    texts[1] = f"{texts[1]} {word} machine"
    assert not {(0, 1)} & relaxed(texts)


@given(st.sampled_from(LATIN), st.sampled_from(["results", "order"]), st.data())
def test_word_that_refers_back_binds_steps_that_both_have_it(code, row, data):
    word = data.draw(st.sampled_from(words_of(code, row)))
    assert relaxed([f"{ABOUT[code].format(place)} {word}" for place in PLACES[:3]]) == set()


@given(st.sampled_from(["deploy", "apply", "send", "buy", "delete", "install"]), st.integers(2, 6))
def test_changes_keep_their_place_whatever_they_are_about(verb, n):
    assert (
        relaxed([f"{verb.title()} the package {k}.0 for {PLACES[k % 6]}" for k in range(n)])
        == set()
    )


@given(st.integers(0, 2))
def test_nothing_passes_a_change(k):
    texts = [ABOUT["en"].format(place) for place in PLACES[:3]]
    texts.insert(k, "Delete the cache of the population service")
    assert not any(i == k or j == k for i, j in relaxed(texts))


@given(st.lists(st.text(max_size=60), max_size=6))
def test_any_text_is_read(texts):
    tasks = [Task(id=str(k), description=text) for k, text in enumerate(texts)]
    findings = HeuristicAnalyzer().analyze(tasks)
    assert findings == HeuristicAnalyzer().analyze(tasks)
    assert all(int(d.earlier) < int(d.later) for d in findings.decisions)
    assert all(0 < d.confidence <= 1 for d in findings.decisions)
