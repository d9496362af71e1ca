"""An event loop whose clock jumps: waiting takes no time, and every wait ends when it should."""

import asyncio
import selectors


class _Jumping(selectors.DefaultSelector):
    """Never waits: what the loop would wait for the clock, it adds to it."""

    now_s = 0.0

    def select(self, timeout=None):
        found = super().select(0)
        if not found and timeout is not None and timeout > 0:
            self.now_s += timeout
        elif not found and timeout is None:
            found = super().select(1.0)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop for code that waits for nothing but the clock."""

    def __init__(self):
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self):
        return self._jumping.now_s


def seconds_of(coroutine):
    """Return the virtual seconds that a coroutine takes, rounded to what adding up may spoil."""
    loop = VirtualLoop()
    try:
        loop.run_until_complete(coroutine)
        return round(loop.time(), 6)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
