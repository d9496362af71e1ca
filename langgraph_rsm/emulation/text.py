"""Deterministic text: prompts into tokens, and a seed plus a prompt into plausible English.

A token is a word of up to 12 letters or digits with the period or comma that follows it, or any
other single character that is not a space; a letter outside ASCII counts by itself. Generated
words obey the same rule, one word being one token, so that text turned back into a prompt gives
exactly the tokens that were generated and hits their blocks in the prefix cache.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Sequence

_PIECE = re.compile(r"\s*(?:[A-Za-z0-9_]{1,12}[.,]?|[^\sA-Za-z0-9_])")
_TOKEN = re.compile(r"[A-Za-z0-9_]{1,12}[.,]?|[^\sA-Za-z0-9_]")

NATURAL_MEDIAN_TOKENS = 120
"""Median natural length of an answer: about a paragraph, usual for one step of an agent."""
NATURAL_SIGMA = 0.7
"""Sigma of the log-normal natural length; the mean is then about 153 tokens."""
NATURAL_BOUNDS = (4, 2048)
"""Least and most natural tokens."""

_LEXICON = """\
determiner: the this each another our that every one
adjective: careful recent simple useful shared early short steady reliable common detailed likely
adjective: narrow open complete distinct modest typical
noun: agent plan result answer question report source model summary method task record signal
noun: market review system pattern reader finding sample design budget
verb: compares explains follows supports improves describes measures checks extends confirms
verb: collects reviews combines informs
preposition: with before after within beyond for under alongside
adverb: clearly often quickly usually again first carefully seldom
conjunction: and but while because so
"""
_WORDS: dict[str, list[str]] = {}
for _line in _LEXICON.splitlines():
    _kind, _, _listed = _line.partition(": ")
    _WORDS.setdefault(_kind, []).extend(_listed.split())

_SENTENCE_LENGTH = 10
# All patterns have the same length, so that word i is found without generating those before it.
_SENTENCES = tuple(
    pattern.split()
    for pattern in (
        "determiner adjective noun adverb verb determiner noun preposition determiner noun",
        "determiner noun verb determiner adjective noun conjunction adverb verb noun",
        "preposition determiner adjective noun determiner noun verb determiner adjective noun",
        "adverb determiner noun verb adjective noun conjunction verb adjective noun",
    )
)
_MASK = (1 << 64) - 1


def tokenize(text: str) -> list[str]:
    """Return the tokens of a text, without the spaces between them."""
    return _TOKEN.findall(text)


def split_pieces(text: str) -> list[str]:
    """Return one string per token, with the spaces before it; joined they give `text`.

    Trailing space belongs to the last piece. Empty when the text has no token.
    """
    pieces = _PIECE.findall(text)
    if pieces:
        pieces[-1] += text[sum(map(len, pieces)) :]
    return pieces


def digest_tokens(tokens: Iterable[str], *, seed: int) -> int:
    """Return 64 bits that identify a prompt under a server seed, equal on every machine."""
    content = "\x1f".join((str(seed), *tokens)).encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def mix(digest: int, index: int) -> int:
    """Return 64 well-mixed bits for item `index` under `digest` (the finalizer of SplitMix64)."""
    bits = (digest + (index + 1) * 0x9E3779B97F4A7C15) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


def natural_length(digest: int) -> int:
    """Return the number of words after which the answer to a prompt ends by itself.

    Log-normal with median `NATURAL_MEDIAN_TOKENS` and sigma `NATURAL_SIGMA`, within
    `NATURAL_BOUNDS`.
    """
    low, high = NATURAL_BOUNDS
    drawn = random.Random(digest).lognormvariate(0.0, NATURAL_SIGMA) * NATURAL_MEDIAN_TOKENS
    return min(max(round(drawn), low), high)


def choose(digest: int, index: int, options: Sequence[str]) -> str:
    """Return one of `options`, the same for equal arguments."""
    return options[mix(digest, index) % len(options)]


def word_at(digest: int, index: int) -> str:
    """Return word `index` (from 0) of the endless text of a prompt; O(1)."""
    sentence, position = divmod(index, _SENTENCE_LENGTH)
    pattern = _SENTENCES[mix(digest, ~sentence) % len(_SENTENCES)]
    word = choose(digest, index, _WORDS[pattern[position]])
    if position == 0:
        return word.capitalize()
    return f"{word}." if position == _SENTENCE_LENGTH - 1 else word


def noun_phrase(digest: int, index: int) -> str:
    """Return a short phrase such as `recent market report`, for a string in a JSON value."""
    kinds = ("adjective", "noun", "noun")
    return " ".join(choose(digest, 3 * index + i, _WORDS[kind]) for i, kind in enumerate(kinds))


def write_pieces(digest: int, *, start: int, count: int) -> list[str]:
    """Return `count` pieces of the text of a prompt from word `start` on.

    A piece has a leading space unless it is the very first, so a text continued at any word is
    equal to the text written at once.
    """
    pieces = [f" {word_at(digest, index)}" for index in range(start, start + count)]
    if start == 0 and pieces:
        pieces[0] = pieces[0][1:]
    return pieces
