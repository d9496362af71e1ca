"""From text to its segments and tokens, in any script.

Words are what Unicode calls letters, marks and digits; what stands between them is dropped, but for
the joints of names such as `db-01`, `sales.csv` or `10.0.0.1`. Scripts that do not set words apart
become one token a character.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

_HAN: Final = "\u3400-\u9fff\uf900-\ufaff\u3005"
_KANA: Final = "\u3040-\u30ff\u31f0-\u31ff"
_UNSPACED: Final = re.compile(f"[{_HAN}{_KANA}]")
_IS_KANA: Final = re.compile(f"[{_KANA}]")
_TOKEN: Final = re.compile(
    rf"(?P<quoted>\"[^\"\n]{{1,80}}\"|“[^”\n]{{1,80}}”|«[^»\n]{{1,80}}»|《[^》\n]{{1,80}}》"
    rf"|「[^」\n]{{1,80}}」|`[^`\n]{{1,80}}`|(?<!\w)'[^'\n]{{2,80}}'(?!\w))"
    rf"|(?P<open><[^<>\n]{{1,60}}>|\{{\{{[^{{}}\n]{{1,60}}\}}\}}|\bTBD\b)"
    rf"|(?P<char>[{_HAN}{_KANA}])"
    rf"|(?P<word>[^\W_{_HAN}{_KANA}]+(?:(?:://|[._/@:\-&])[^\W_{_HAN}{_KANA}]+)*)"
    r"|(?P<stop>[,;:.!?()、\uff0c。\uff1b\uff1a\uff01\uff1f()\[\]|—\u2013]|\n)",
)
_SENTENCE: Final = re.compile(
    r"\n+|[。\uff1b\uff1a\uff01\uff1f]|(?<=[\w)\"”'])[.;:!?](?=\s|$)|—|\u2013|\s-\s"
)


_LABEL: Final = re.compile(
    r"\s*(?:[-*•]\s+)?(?:\(?\d{1,3}[.)\u3001]\s*|(?:(?:step|task|schritt|aufgabe|étape|tâche|paso|tarea"
    r"|passo|tarefa|步骤|任务|ステップ)\s*\d{1,3}|第[一二三四五六七八九十\d]{1,3}步)\s*[.:\u3001\uff1a\-\u2013)]\s*)",
    re.IGNORECASE,
)
"""How planners number their steps."""
_LONGEST_ACRONYM: Final = 5


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a character of a script without spaces, a quotation, or a mark that ends a clause."""

    text: str
    """As written."""
    folded: str
    """Lower case; for a mark, empty."""
    kind: str
    """`word`, `char`, `quoted`, `open` (a value that is left open) or `stop`."""

    @property
    def is_code(self) -> bool:
        """Whether it looks like a name that a machine gave, such as `db-01` or `sales.csv`."""
        text = self.text
        has_digit = any(c.isdigit() for c in text)
        has_letter = any(c.isalpha() for c in text)
        inner_capital = any(c.isupper() for c in text[1:]) and has_letter
        joint = any(c in "._/@:" for c in text.strip("."))
        return (has_digit and has_letter) or inner_capital or (joint and has_letter)

    @property
    def is_acronym(self) -> bool:
        """Whether it is a few capitals, which may be no name: the CEO, an API."""
        return self.text.isalpha() and self.text.isupper() and len(self.text) <= _LONGEST_ACRONYM

    @property
    def is_number(self) -> bool:
        """Whether it is written in digits alone."""
        return any(c.isdigit() for c in self.text) and not any(c.isalpha() for c in self.text)


def script_of(text: str) -> str:
    """Return `ja` or `zh` for text with their characters, else the script of its first letter."""
    if _IS_KANA.search(text):
        return "ja"
    if _UNSPACED.search(text):
        return "zh"
    for character in text:
        if character.isalpha():
            return unicodedata.name(character, "?").split()[0].lower()
    return ""


def split_segments(text: str) -> list[list[Token]]:
    """Return the tokens of each sentence, line or heading that holds any."""
    # The number of a step in its plan says nothing of it.
    text = _LABEL.sub("", text, count=1) if _LABEL.match(text) else text
    # The marks of Chinese and Japanese are told from ours before both become the same.
    parts = _SENTENCE.split(text)
    segments = [_tokens(unicodedata.normalize("NFKC", part)) for part in parts]
    return [s for s in segments if any(token.kind != "stop" for token in s)]


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "word"
        found.append(Token(match[0], "" if kind == "stop" else match[0].casefold(), kind))
    return found
