"""From a word to whether any code of the user's that is loaded has it in its text."""

from __future__ import annotations

import functools
import linecache
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from langgraph_parallel.inference.code.source import is_library


def is_mentioned(word: str) -> bool:
    """Tell whether code of the user's that is loaded may have a word in its text.

    A module without source text may have any. So has a session that is typed in, whose next lines
    nobody knows yet.
    """
    return any(text is None or word in text for text in _texts())


def _texts() -> Iterator[str | None]:
    """Yield the text of each module and cell that is no library's; None where it has none."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            if not is_library(file):
                yield _text_of(file)
        elif name == "__main__" or _holds_code(module):
            yield None
    for file in list(linecache.cache):
        if file.startswith("<") and not file.startswith("<frozen"):
            yield "".join(linecache.getlines(file))


def _holds_code(module: Any) -> bool:
    """Tell whether a module that stands in no file holds functions of the user's."""
    return any(
        isinstance(part, types.FunctionType) and not is_library(part.__code__.co_filename)
        for part in list(getattr(module, "__dict__", {}).values())
    )


def _text_of(file: str) -> str | None:
    path = Path(file)
    try:
        return _read(file, path.stat().st_mtime_ns) if path.suffix in (".py", ".pyw", "") else None
    except OSError:
        return None


@functools.lru_cache(maxsize=512)
def _read(file: str, changed_ns: int) -> str | None:
    del changed_ns  # another file under the same name is read anew
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
