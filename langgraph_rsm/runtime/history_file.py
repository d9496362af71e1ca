"""History files: what programs have cost, kept between processes.

Several processes may save one file: each adds what it has learned since it read or last wrote it,
under a lock of the file, so that nobody's knowledge is lost or counted twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langgraph_rsm.core.policies import create_policy
from langgraph_rsm.core.programs.history import VERSION, History
from langgraph_rsm.errors import ConfigError
from langgraph_rsm.runtime.history_sum import merge_learned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langgraph_rsm.config import SchedulerConfig
    from langgraph_rsm.core.policies import Policy

_ANYWHERE = ""
_saved: weakref.WeakKeyDictionary[History, dict[str, Any]] = weakref.WeakKeyDictionary()
"""What each history had when it was last in step with a file, by the file's path; under no path
what it has from the process that this one was forked from, which will save it."""


def save_history(history: History, path: str | os.PathLike[str]) -> None:
    """Write everything to a JSON file; running programs count as far as they have got."""
    target = Path(path).absolute()
    document = history.to_document()
    before = _saved.setdefault(history, {})
    with _locked(target):
        there = _read_if_whole(target)
        merged = document
        if there is not None:
            known = before.get(str(target), before.get(_ANYWHERE))
            merged = merge_learned(there, document, known)
        _replace(target, json.dumps(merged))
    before[str(target)] = document


def load_history(path: str | os.PathLike[str]) -> History:
    """Read a file that `save_history` wrote.

    Raises:
        ConfigError: The file is not such a file.
        OSError: It cannot be read.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        history = History.from_document(json.loads(text))
    except (ValueError, RecursionError) as exc:
        name = os.fspath(path)
        msg = f"{name!r} is not a history of version {VERSION}; delete it to learn anew"
        raise ConfigError(msg) from exc
    _saved[history] = {str(Path(path).absolute()): history.to_document()}
    return history


def inherit_history(parent: History) -> History:
    """Return the history for a forked child, in which no program of the parent runs."""
    document = parent.to_document()
    child = History.from_document(document)
    _saved[child] = {_ANYWHERE: child.to_document()}
    return child


def save_policy(policy: Policy, path: str | os.PathLike[str]) -> None:
    """Write what a policy has learned to a file.

    Raises:
        ConfigError: It does not learn.
    """
    history = getattr(policy, "history", None)
    if not isinstance(history, History):
        msg = f"policy {policy.name!r} keeps no history; use 'auto' or 'gittins'"
        raise ConfigError(msg)
    save_history(history, path)


def inherit_policy(policy: Any) -> None:
    """Let a policy that learns go on from what it knew, in a forked child."""
    history = getattr(policy, "history", None)
    if isinstance(history, History):
        policy.history = inherit_history(history)


def load_policy(config: SchedulerConfig) -> Policy:
    """Make the policy that `config.policy` names; one that learns begins with `config.history`.

    Raises:
        ConfigError: The file exists and is not a history.
    """
    return create_policy(config, lambda: _recall(config.history))


def _recall(path: Path | None) -> History:
    return load_history(path) if path is not None and path.exists() else History()


def _read_if_whole(path: Path) -> Any:
    """Return the document of a file; None if there is none, or something else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        History.from_document(document)
    except (OSError, ValueError, RecursionError):
        return None
    return document


def _replace(target: Path, text: str) -> None:
    # A reader sees the old file or the new one, never half of one.
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f"{target.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(draft, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Keep other savers of the file out, where the system can: threads and processes."""
    try:
        import fcntl
    except ImportError:  # Windows: the last one to save wins
        yield
        return
    # Beside the file, which is replaced; never removed, as somebody may be waiting for it.
    lock = os.open(target.with_name(f".{target.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
