"""Process-global schedulers by name, for models that are constructed far from one another."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from langgraph_rsm.errors import ConfigError
from langgraph_rsm.scheduler import Scheduler

if TYPE_CHECKING:
    from langgraph_rsm.config import SchedulerConfig

_lock = threading.Lock()
_schedulers: dict[str, Scheduler] = {}


def get_scheduler(name: str = "default", *, config: SchedulerConfig | None = None) -> Scheduler:
    """Return the scheduler of that name in this process; the first call makes it.

    Args:
        name: Any name; models without a scheduler of their own use `"default"`.
        config: Settings for the first call; None takes what is there or the defaults.

    Raises:
        ConfigError: The scheduler exists with other settings.
    """
    with _lock:
        known = _schedulers.get(name)
        if known is None:
            known = _schedulers[name] = Scheduler(config=config)
    if config is not None and config != known.config:
        msg = (
            f"scheduler {name!r} exists with other settings; call get_scheduler({name!r}, "
            "config=...) before the first model uses it, or choose another name"
        )
        raise ConfigError(msg)
    return known
