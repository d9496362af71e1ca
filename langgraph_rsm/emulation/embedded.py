"""Start the emulated engine: in a thread of this process, or as a command."""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from langgraph_rsm.emulation.errors import StartError
from langgraph_rsm.emulation.profiles import EngineProfile
from langgraph_rsm.emulation.settings import ServerSettings, build_settings
from langgraph_rsm.emulation.stats import EngineStats

if TYPE_CHECKING:
    from langgraph_rsm.emulation.server import ChatServer

START_TIMEOUT_S = 30.0
"""Bound on the start of the thread; importing aiohttp on a busy machine takes a few seconds."""


def serve(
    profile: str | EngineProfile = "gpu-8b",
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    **options: Any,
) -> EmulatedServer:
    """Return an embedded engine that runs in a thread while its context is open.

    Args:
        profile: Name of a built-in profile, or one of your own.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        **options: Fields of `ServerSettings` and of `EngineProfile`, as in `build_settings`.

    Raises:
        ProfileError: When the profile or an option is unknown or out of range.
    """
    return EmulatedServer(build_settings(profile, **options), host=host, port=port)


class EmulatedServer:
    """An embedded engine in a background thread with an event loop of its own; starts once.

    Args:
        settings: What to emulate and how to serve it.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
    """

    def __init__(self, settings: ServerSettings, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.settings = settings
        self._host = host
        self._asked_port = port
        self._port: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._chat_server: ChatServer | None = None
        self._error: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="emulated-engine", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port that the server listens on.

        Raises:
            StartError: When the server was not started.
        """
        if self._port is None:
            msg = "the embedded engine was not started; use it as a context manager"
            raise StartError(msg)
        return self._port

    @property
    def base_url(self) -> str:
        """The `base_url` for an OpenAI client."""
        return format_url(self._host, self.port)

    @property
    def model(self) -> str:
        """The served model name."""
        return self.settings.model_name

    def stats(self) -> EngineStats:
        """Return a snapshot of the engine, taken between two of its steps.

        Raises:
            StartError: When the server does not run.
        """
        chat_server, loop = self._chat_server, self._loop
        if chat_server is None or loop is None:
            msg = "the embedded engine does not run; use it as a context manager"
            raise StartError(msg)

        async def snapshot() -> EngineStats:
            return chat_server.driver.model.stats()

        return asyncio.run_coroutine_threadsafe(snapshot(), loop).result(timeout=5)

    def start(self) -> None:
        """Start the thread and return once the server listens.

        Raises:
            StartError: When it cannot listen, or aiohttp is not installed.
        """
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            msg = f"the embedded engine did not start within {START_TIMEOUT_S:.0f} s"
            raise StartError(msg)
        self._raise_error()

    def stop(self) -> None:
        """End the server, cut open streams and join the thread.

        Raises:
            StartError: When the server had failed.
        """
        if self._thread.ident is None:
            return
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop = None
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is None:
            return
        if isinstance(self._error, StartError):
            raise self._error
        msg = f"the embedded engine failed: {self._error!r}"
        raise StartError(msg) from self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as exc:
            self._error = exc
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()

        def note_ready(port: int, chat_server: ChatServer) -> None:
            self._port = port
            self._chat_server = chat_server
            self._ready.set()

        await _run_until(
            self.settings, self._host, self._asked_port, on_ready=note_ready, stop=self._stop
        )


async def serve_until_signal(settings: ServerSettings, *, host: str, port: int) -> None:
    """Serve in the foreground until SIGINT or SIGTERM, announcing the address on stdout.

    Raises:
        StartError: When the server cannot listen, or aiohttp is not installed.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    if sys.platform != "win32":  # there, Ctrl-C arrives as KeyboardInterrupt
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)

    def announce(chosen: int, _server: ChatServer) -> None:
        url = format_url(host, chosen)
        usage = f'ChatOpenAI(base_url="{url}", model="{settings.model_name}", api_key="x")'
        print(f"listening on {url}", flush=True)  # noqa: T201
        print(f"profile {settings.profile.name}; use {usage}", flush=True)  # noqa: T201

    await _run_until(settings, host, port, on_ready=announce, stop=stop)


async def _run_until(settings: ServerSettings, host: str, port: int, **hooks: Any) -> None:
    try:
        from langgraph_rsm.emulation.server import run_server
    except ModuleNotFoundError as exc:
        if exc.name != "aiohttp":
            raise
        msg = "the embedded engine needs aiohttp: pip install 'langgraph-accel[emulate]'"
        raise StartError(msg) from exc
    try:
        await run_server(settings, host=host, port=port, **hooks)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            msg = f"port {port} is in use on {host}; choose another with --port"
        else:
            msg = f"cannot listen on {host}:{port}: {exc.strerror or exc}"
        raise StartError(msg) from exc
    except OverflowError as exc:
        msg = f"port {port} does not exist; choose one from 0 to 65535 with --port"
        raise StartError(msg) from exc


def format_url(host: str, port: int) -> str:
    """Return the base URL of the API, also for an IPv6 address."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/v1"
