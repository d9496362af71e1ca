"""Everything that decides how the embedded engine serves requests."""

from __future__ import annotations

import dataclasses
from typing import Any

from langgraph_rsm.emulation.errors import ProfileError
from langgraph_rsm.emulation.faults import FaultKind
from langgraph_rsm.emulation.profiles import GPU_8B, EngineProfile, load_profile, replace_fields


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Settings of one server.

    Raises:
        ProfileError: When a value is out of range.
    """

    profile: EngineProfile = GPU_8B
    """The engine to emulate."""
    model: str | None = None
    """Served model name; None means the name of the profile."""
    seed: int = 0
    """Seed of all text, tool calls and faults."""
    max_queue: int = 4096
    """Most requests that may wait; one more is answered 503. The default lets bursts pass and
    still bounds memory."""
    max_body_bytes: int = 16 * 1024 * 1024
    """Largest request body; a longer one is answered 413."""
    rate_limit_rpm: int | None = None
    """Requests per minute before 429; None means no limit."""
    fault_rate: float = 0.0
    """Share of the requests that fail on purpose, 0..1."""
    fault_kinds: tuple[FaultKind, ...] = tuple(FaultKind)
    """Kinds of fault to draw from."""
    stall_s: float = 30.0
    """How long a stalled answer hangs before the connection is cut, in seconds."""

    def __post_init__(self) -> None:
        bounds = (
            ("max_queue", self.max_queue >= 1, "at least 1"),
            ("max_body_bytes", self.max_body_bytes >= 1, "at least 1"),
            ("rate_limit_rpm", self.rate_limit_rpm is None or self.rate_limit_rpm >= 1, ">= 1"),
            ("fault_rate", 0 <= self.fault_rate <= 1, "between 0 and 1"),
            ("fault_kinds", bool(self.fault_kinds), "at least one kind"),
            ("stall_s", self.stall_s >= 0, "at least 0"),
        )
        for field, holds, bound in bounds:
            if not holds:
                msg = f"{field} is {getattr(self, field)}; it must be {bound}"
                raise ProfileError(msg)

    @property
    def model_name(self) -> str:
        """The name under which the model is served."""
        return self.model or self.profile.name


_SERVER_FIELDS = {field.name for field in dataclasses.fields(ServerSettings)} - {"profile"}
_PROFILE_FIELDS = {field.name for field in dataclasses.fields(EngineProfile)} - {"name", "cost"}


def build_settings(profile: str | EngineProfile = "gpu-8b", **options: Any) -> ServerSettings:
    """Return settings for a profile with some options changed.

    Args:
        profile: Name of a built-in profile, or one of your own.
        **options: Fields of `ServerSettings` and of `EngineProfile` (`max_num_seqs`, `speed`, …).
            None keeps the default. `fault_kinds` may be strings.

    Raises:
        ProfileError: When the profile or an option is unknown or out of range.
    """
    unknown = options.keys() - _SERVER_FIELDS - _PROFILE_FIELDS
    if unknown:
        known = ", ".join(sorted(_SERVER_FIELDS | _PROFILE_FIELDS))
        msg = f"unknown option {', '.join(sorted(unknown))}; the options are {known}"
        raise ProfileError(msg)
    given = {name: value for name, value in options.items() if value is not None}
    overrides = {name: value for name, value in given.items() if name in _PROFILE_FIELDS}
    chosen = (
        load_profile(profile, **overrides)
        if isinstance(profile, str)
        else replace_fields(profile, **overrides)
    )
    server = {name: value for name, value in given.items() if name in _SERVER_FIELDS}
    if "fault_kinds" in server:
        server["fault_kinds"] = tuple(FaultKind(kind) for kind in server["fault_kinds"])
    return ServerSettings(profile=chosen, **server)
