"""Process-global schedulers by name or file, for models that are constructed far from one another.

A framework that builds a model anew for every agent, from a configuration file, can name a
scheduler there: all models that use the name share it. A name that ends in `.toml` is a file with
the scheduler's settings, the fields of `SchedulerConfig`:

```toml
policy = "plas"
default_capacity = 8
call_timeout_s = 120
```
"""

from __future__ import annotations

import threading
import tomllib
from pathlib import Path
from typing import Any

from langgraph_rsm.config import PolicyName, SchedulerConfig
from langgraph_rsm.errors import ConfigError
from langgraph_rsm.identity.forks import share_lock
from langgraph_rsm.runtime.scheduler import Scheduler

_lock = threading.RLock()
share_lock(_lock)
_schedulers: dict[str, Scheduler] = {}
_OTHER_FILES = frozenset({".cfg", ".conf", ".ini", ".json", ".json5", ".txt", ".yaml", ".yml"})


def get_scheduler(name: str = "default", *, config: SchedulerConfig | None = None) -> Scheduler:
    """Return the scheduler of that name in this process; the first call makes it.

    Args:
        name: Any name, or the path of a TOML file with the settings, which the first call reads;
            models without a scheduler of their own use `"default"`.
        config: Settings for the first call; None takes what is there, the file, or the defaults.

    Raises:
        ConfigError: The scheduler exists with other settings; the file cannot be read or names a
            setting that does not exist; the name is that of a policy or of another kind of file.
    """
    _refuse_mistaken_name(name)
    is_file = name.endswith(".toml")
    key = str(Path(name).expanduser().resolve()) if is_file else name
    with _lock:
        known = _schedulers.get(key)
        if known is None:
            settings = _read_settings(Path(key)) if is_file and config is None else config
            known = _schedulers[key] = Scheduler(config=settings)
            known.name, known._find = key, get_scheduler
    if config is not None and config != known.config:
        msg = (
            f"scheduler {name!r} exists with other settings; call get_scheduler({name!r}, "
            "config=...) before the first model uses it, or choose another name"
        )
        raise ConfigError(msg)
    return known


def find_scheduler(scheduler: Any) -> Scheduler:
    """Return the scheduler that a model's `scheduler` argument means.

    Args:
        scheduler: A scheduler, its name, the path of its TOML file, or None for the global one.

    Raises:
        ConfigError: It is something else, or see `get_scheduler`.
    """
    if isinstance(scheduler, Scheduler):
        return scheduler
    if scheduler is None:
        return get_scheduler()
    if isinstance(scheduler, str) and scheduler:
        return get_scheduler(scheduler)
    msg = (
        f"scheduler={scheduler!r} must be a Scheduler, the name of one, or the path of a .toml "
        "file; leave it out for the process-global one"
    )
    raise ConfigError(msg)


def _refuse_mistaken_name(name: str) -> None:
    """Check that a name is not something else, which would be silently without effect."""
    if name.casefold() in list(PolicyName):
        policy = name.casefold()
        msg = (
            f"scheduler={name!r} is the name of a policy, not of a scheduler; write "
            f"scheduler=Scheduler({policy!r}), or give it a name of its own: "
            f"get_scheduler('mine', config=SchedulerConfig(policy={policy!r}))"
        )
        raise ConfigError(msg)
    suffix = Path(name).suffix
    if suffix.lower() in _OTHER_FILES or (suffix != ".toml" and suffix.lower() == ".toml"):
        msg = f"scheduler={name!r} looks like a file; settings are read from a .toml file only"
        raise ConfigError(msg)


def _read_settings(path: Path) -> SchedulerConfig:
    try:
        return SchedulerConfig(**tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        msg = f"cannot read the scheduler's settings from {path}: {error.strerror or error}"
        raise ConfigError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is not a TOML file: {error}"
        raise ConfigError(msg) from error
    except ConfigError as error:
        msg = f"{path} has wrong settings: {error}"
        raise ConfigError(msg) from error
