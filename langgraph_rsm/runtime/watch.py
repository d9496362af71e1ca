"""Watch: asks the servers that calls are out at, at most once a second, and tells the scheduler.

One thread a server, which lives as long as calls are out; a server that hangs holds up nobody. What
a server is, is found out once for all schedulers of a process, and again after it was away.
"""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING

from langgraph_rsm.identity.forks import renew_in_children, share_lock
from langgraph_rsm.runtime.servers import (
    DETAILS,
    STRANGERS,
    Reading,
    ServerFacts,
    facts_of_metrics,
    parse_metrics,
    read_facts,
    reading_of_metrics,
    reading_of_slots,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EVERY_S = 1.0
_TIMEOUT_S = 1.0
_MAX_BYTES = 1 << 20
_WATCHED_CALLS = 2
"""Calls out from which a server is asked: a call that is alone has nobody to wait for."""
_METRICS = "/metrics"


class GoneError(Exception):
    """Raised when a server cannot be asked at all: it is away, and may come back as another one."""


_lock = threading.RLock()
share_lock(_lock)
_facts: dict[str, ServerFacts | None] = {}
"""What the servers of this process are, by root; None for those that do not say."""
_readings: dict[str, tuple[float, Reading | None]] = {}
"""When a server was last asked, by whichever scheduler, and what it said of its load."""
_first_come: set[str] = set()
"""Roots of servers that turned a priority down."""


def facts_at(root: str | None) -> ServerFacts | None:
    """Return what is known of a server; None if nothing is."""
    return None if root is None else _facts.get(root)


def priority_sign(root: str | None) -> int:
    """Return 1 where a lower priority goes first, -1 where a higher one does, 0 for neither."""
    facts = facts_at(root)
    return 0 if facts is None or root in _first_come else facts.priority_sign


def turn_priority_off(root: str) -> None:
    """Take note that a server takes no priorities."""
    with _lock:
        _first_come.add(root)


def forget(root: str) -> None:
    """Find out anew what a server is: it was away."""
    with _lock:
        _facts.pop(root, None)
        _first_come.discard(root)


class Watch:
    """The servers of one scheduler's engines.

    Args:
        calls_out: Returns how many calls are out at a server.
        tell: Told of every reading, on a thread of the watch.
        get: Returns the text of a page, None if there is no such page.
        every_s: Seconds between two questions.
    """

    def __init__(
        self,
        calls_out: Callable[[str], int],
        tell: Callable[[str, ServerFacts, Reading], None],
        get: Callable[[str], str | None] | None = None,
        every_s: float = _EVERY_S,
    ) -> None:
        self._calls_out = calls_out
        self._tell = tell
        self._get = get or get_page
        self._every_s = every_s
        self._lock = threading.Lock()
        self._asking: set[str] = set()
        renew_in_children(self)

    def renew_after_fork(self) -> None:
        """Know that the parent's threads are not here."""
        self._lock = threading.Lock()
        self._asking = set()

    def call_began(self, root: str) -> None:
        """Take note that a call is out; cheap while the server is being asked, or does not say."""
        if root in self._asking or (root in _facts and _facts[root] is None):
            return
        if self._calls_out(root) < _WATCHED_CALLS:
            return
        with self._lock:
            if root in self._asking:
                return
            self._asking.add(root)
        threading.Thread(
            target=self._ask_on, args=(root,), name="langgraph_rsm watch", daemon=True
        ).start()

    def _ask_on(self, root: str) -> None:
        inquiry = Inquiry(root, self._get, self._every_s)
        try:
            while self._calls_out(root) and inquiry.ask():
                facts, reading = facts_at(root), inquiry.reading
                if facts is not None and reading is not None:
                    self._tell(root, facts, reading)
                time.sleep(self._every_s)
        except GoneError:
            forget(root)
            time.sleep(self._every_s)
        except Exception:  # whatever a strange server says, no call shall suffer by it
            with _lock:
                _facts[root] = None
        finally:
            with self._lock:
                self._asking.discard(root)


class Inquiry:
    """Questions to one server, one page at a time.

    Args:
        root: Where its pages are.
        get: Returns the text of a page, None if there is no such page.
        every_s: Seconds for which an answer that somebody else got will do.
    """

    def __init__(self, root: str, get: Callable[[str], str | None], every_s: float) -> None:
        self._root = root
        self._get = get
        self._every_s = every_s
        self._strangers = list(STRANGERS)
        self._detailed = self._by_slots = False
        self._pages: Sequence[str] = ()
        self.reading: Reading | None = None
        """The load as the latest page told it; None if that page was about something else."""

    def ask(self) -> bool:
        """Ask for one page; returns whether there is anything more to ask, now or later."""
        self.reading = None
        with _lock:
            asked_s, reading = _readings.get(self._root, (float("-inf"), None))
            now = time.monotonic()
            if now < asked_s + 0.9 * self._every_s:
                self.reading = reading
                return True
            _readings[self._root] = (now, None)
        known = self._root in _facts
        facts = _facts.get(self._root)
        if facts is None:
            more = False if known else self._ask_what_it_is()
        elif not self._detailed and facts.version is None and facts.kind in DETAILS:
            more = self._ask_for_details(facts)
        else:
            more = self._ask_for_load(facts)
        with _lock:
            _readings[self._root] = (now, self.reading)
        return more

    def _ask_what_it_is(self) -> bool:
        if not self._pages:
            self._pages = (_METRICS,)
            page = parse_metrics(self._get(self._root + _METRICS) or "")
            if (facts := facts_of_metrics(page)) is not None:
                self._learn(facts)
                self.reading = reading_of_metrics(page)
            return True
        if not self._strangers:
            self._learn(None)
            return False
        path, reader = self._strangers.pop(0)
        facts = read_facts(self._get(self._root + path) or "", reader)
        if facts is not None:
            self._learn(facts)
        return True

    def _ask_for_details(self, facts: ServerFacts) -> bool:
        self._detailed = True
        path, reader = DETAILS[facts.kind]
        more = read_facts(self._get(self._root + path) or "", reader)
        if more is not None:
            self._learn(
                replace(
                    facts,
                    version=more.version or facts.version,
                    seats=more.seats or facts.seats,
                    kv_tokens=more.kv_tokens or facts.kv_tokens,
                    priority_sign=more.priority_sign or facts.priority_sign,
                )
            )
        return True

    def _ask_for_load(self, facts: ServerFacts) -> bool:
        """Ask for the page that tells the load; False if this server has none."""
        if not self._by_slots:
            page = parse_metrics(self._get(self._root + _METRICS) or "")
            if facts_of_metrics(page) is not None:
                self.reading = reading_of_metrics(page)
                return True
            self._by_slots = facts.kind == "llama.cpp"
            return self._by_slots
        self.reading = reading_of_slots(self._get(self._root + "/slots") or "")
        return self.reading is not None

    def _learn(self, facts: ServerFacts | None) -> None:
        with _lock:
            _facts[self._root] = facts


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Stay at the server that was asked."""


def get_page(url: str) -> str | None:
    """Return the text of a page; None if the server has no such page.

    Raises:
        GoneError: The server does not answer.
    """
    opener = urllib.request.build_opener(_NoRedirects())
    try:
        with opener.open(url, timeout=_TIMEOUT_S) as response:
            return str(response.read(_MAX_BYTES), "utf-8", "replace")
    except urllib.error.HTTPError as error:
        error.close()
        return None
    except (OSError, ValueError) as error:
        raise GoneError(url) from error
