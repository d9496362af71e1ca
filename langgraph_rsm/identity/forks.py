"""Forks: what a forked child makes anew, as the threads that its parent had are not in it.

A lock that another thread held would stay locked for ever, a slot that one had would never come
back. Locks of the whole process are held across the fork, so that what they guard is whole; things
that come and go register, and make themselves anew.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What must not go into a child as it is."""

    def renew_after_fork(self) -> None:
        """Begin anew, in a process with this thread alone."""


class Lock(Protocol):
    """A lock that can be held across a fork."""

    def acquire(self) -> bool:
        """Take it."""

    def release(self) -> None:
        """Give it back."""


_alive: weakref.WeakSet[Forkable] = weakref.WeakSet()
_generation = 0


def renew_in_children(one: Forkable) -> None:
    """Have `one.renew_after_fork()` called in each child of this process, while `one` lives."""
    _alive.add(one)


def share_lock(lock: Lock) -> None:
    """Hold a reentrant lock of the whole process across forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )


def generation() -> int:
    """Return how many forks lie between the first process and this one."""
    return _generation


def _renew_all() -> None:
    global _generation
    _generation += 1
    for one in list(_alive):
        one.renew_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
