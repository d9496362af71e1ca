"""History files: what programs have cost, kept between processes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from langgraph_rsm.core.policies import create_policy
from langgraph_rsm.core.programs.history import VERSION, History
from langgraph_rsm.errors import ConfigError

if TYPE_CHECKING:
    from langgraph_rsm.config import SchedulerConfig
    from langgraph_rsm.core.policies import Policy


def save_history(history: History, path: str | os.PathLike[str]) -> None:
    """Write everything to a JSON file; running programs count as far as they have got."""
    target = Path(path)
    draft = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    draft.write_text(json.dumps(history.to_document()), encoding="utf-8")
    draft.replace(target)  # a reader sees the old file or the new one, never half of one


def load_history(path: str | os.PathLike[str]) -> History:
    """Read a file that `save_history` wrote.

    Raises:
        ConfigError: The file is not such a file.
        OSError: It cannot be read.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        return History.from_document(json.loads(text))
    except ValueError as exc:
        name = os.fspath(path)
        msg = f"{name!r} is not a history of version {VERSION}; delete it to learn anew"
        raise ConfigError(msg) from exc


def load_policy(config: SchedulerConfig) -> Policy:
    """Make the policy that `config.policy` names; one that learns begins with `config.history`.

    Raises:
        ConfigError: The file exists and is not a history.
    """
    return create_policy(config, lambda: _recall(config.history))


def _recall(path: Path | None) -> History:
    return load_history(path) if path is not None and path.exists() else History()
