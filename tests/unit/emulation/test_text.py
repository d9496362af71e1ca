import statistics

import pytest
from case_counts import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_rsm.emulation.text import (
    NATURAL_MEDIAN_TOKENS,
    digest_tokens,
    natural_length,
    noun_phrase,
    split_pieces,
    tokenize,
    write_pieces,
)


def test_tokens_are_words_with_their_stop_and_single_signs():
    assert tokenize("Well, go. (x_1) né") == ["Well,", "go.", "(", "x_1", ")", "n", "é"]


def test_long_word_counts_as_several_tokens():
    assert tokenize("a" * 30) == ["a" * 12, "a" * 12, "a" * 6]


@settings(max_examples=cases(100), deadline=None)
@given(st.text())
def test_pieces_join_to_the_text_and_strip_to_its_tokens(text):
    pieces = split_pieces(text)
    assert [piece.strip() for piece in pieces] == tokenize(text)
    assert "".join(pieces) == (text if pieces else "")


@settings(max_examples=cases(100), deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 60))
def test_generated_text_turns_back_into_its_tokens(digest, count):
    pieces = write_pieces(digest, start=0, count=count)
    assert tokenize("".join(pieces)) == [piece.strip() for piece in pieces]


@settings(max_examples=cases(100), deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 50), st.integers(0, 50))
def test_text_continued_at_any_word_equals_the_text_at_once(digest, first, second):
    parts = write_pieces(digest, start=0, count=first)
    parts += write_pieces(digest, start=first, count=second)
    assert parts == write_pieces(digest, start=0, count=first + second)


def test_text_reads_as_sentences():
    text = "".join(write_pieces(7, start=0, count=20))
    assert [len(sentence.split()) for sentence in text.split(".")] == [10, 10, 0]
    assert text[0].isupper()


def test_natural_length_has_the_documented_median():
    lengths = [natural_length(digest) for digest in range(2000)]
    assert statistics.median(lengths) == pytest.approx(NATURAL_MEDIAN_TOKENS, rel=0.06)
    assert min(lengths) >= 4
    assert max(lengths) <= 2048


def test_digest_depends_on_tokens_and_seed_only():
    assert digest_tokens(["a", "b"], seed=0) == digest_tokens(iter(["a", "b"]), seed=0)
    others = [(["a"], 0), (["a", "b"], 1), (["ab"], 0), (["b", "a"], 0)]
    assert len({digest_tokens(tokens, seed=seed) for tokens, seed in others}) == 4


def test_digest_is_stable_across_processes():
    assert digest_tokens(["hello"], seed=0) == 0xCA24944EC82F53BA


def test_phrase_is_three_words():
    assert len(noun_phrase(1, 2).split()) == 3
