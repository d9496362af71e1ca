"""An OpenAI-compatible HTTP server in front of an emulated engine.

```
POST /v1/chat/completions ──▶ parse ──▶ plan the answer ──▶ engine (real time) ──▶ JSON or SSE
GET  /v1/models  /health  /version  /metrics
```

A client that goes away cancels its handler, which aborts the request and frees its seat.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version

from aiohttp import web

from langgraph_rsm.emulation.answers import AnswerFormat, error_body
from langgraph_rsm.emulation.completion import plan_completion
from langgraph_rsm.emulation.driver import EngineDriver, Ticket
from langgraph_rsm.emulation.errors import (
    InjectedError,
    OverloadedError,
    RequestError,
    UnknownModelError,
)
from langgraph_rsm.emulation.faults import Fault, FaultKind, FaultPlan, RequestRateLimit
from langgraph_rsm.emulation.metrics import render_metrics
from langgraph_rsm.emulation.protocol import ChatRequest, parse_chat_request
from langgraph_rsm.emulation.request import Finished
from langgraph_rsm.emulation.settings import ServerSettings

SHUTDOWN_S = 0.5
"""How long open connections may take to end after the engine stopped; their streams end at once."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Exchange:
    """One accepted request on its way to an answer."""

    http: web.Request
    chat: ChatRequest
    ticket: Ticket
    answer: AnswerFormat
    fault: Fault | None
    headers: dict[str, str]


class ChatServer:
    """The routes of one emulated engine.

    Args:
        settings: What to emulate and how to serve it.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.driver = EngineDriver(settings.profile, max_queue=settings.max_queue)
        self._faults = FaultPlan(
            rate=settings.fault_rate, kinds=settings.fault_kinds, seed=settings.seed
        )
        self._rate_limit: RequestRateLimit | None = None
        self._driving: asyncio.Task[None] | None = None

    def build_app(self) -> web.Application:
        """Return the application; its start-up and shutdown start and stop the engine."""
        app = web.Application(
            client_max_size=self.settings.max_body_bytes, middlewares=[_answer_errors]
        )
        app.router.add_post("/v1/chat/completions", self._chat_completions)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_get("/version", self._version)
        app.router.add_get("/metrics", self._metrics)
        app.cleanup_ctx.append(self._run_engine)
        # Before aiohttp waits for open connections, so that it has none to wait for.
        app.on_shutdown.append(self._stop_engine)
        return app

    async def _run_engine(self, _app: web.Application) -> AsyncIterator[None]:
        if self.settings.rate_limit_rpm is not None:
            self._rate_limit = RequestRateLimit(
                self.settings.rate_limit_rpm, now_s=self.driver.now_s()
            )
        self._driving = asyncio.create_task(self.driver.run(), name="emulated engine")
        yield

    async def _stop_engine(self, _app: web.Application) -> None:
        if self._driving is not None:
            self._driving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._driving

    # ── small routes ────────────────────────────────────────────────────────────────────────

    async def _models(self, _http: web.Request) -> web.Response:
        card = {
            "id": self.settings.model_name,
            "object": "model",
            "owned_by": "langgraph-accel",
            "max_model_len": self.settings.profile.max_model_len,
        }
        return web.json_response({"object": "list", "data": [card]})

    async def _health(self, _http: web.Request) -> web.Response:
        if self._driving is None or self._driving.done():
            msg = "the embedded engine does not run"
            raise OverloadedError(msg)
        return web.Response()

    async def _version(self, _http: web.Request) -> web.Response:
        try:
            number = version("langgraph-accel")
        except PackageNotFoundError:
            number = "0+unknown"
        return web.json_response({"version": number, "engine": "langgraph-accel emulation"})

    async def _metrics(self, _http: web.Request) -> web.Response:
        text = render_metrics(
            self.driver.model.stats(),
            self.driver.latencies,
            profile=self.settings.profile,
            model=self.settings.model_name,
            lag_s=self.driver.lag_s,
        )
        return web.Response(text=text, content_type="text/plain")

    # ── chat completions ────────────────────────────────────────────────────────────────────

    async def _chat_completions(self, http: web.Request) -> web.StreamResponse:
        headers = self._rate_limit.take(self.driver.now_s()) if self._rate_limit else {}
        chat = parse_chat_request(await http.read())
        exchange = self._submit(http, chat, headers)
        try:
            return await (self._stream(exchange) if chat.stream else self._complete(exchange))
        finally:
            self.driver.abort(exchange.ticket)

    def _submit(self, http: web.Request, chat: ChatRequest, headers: dict[str, str]) -> _Exchange:
        settings = self.settings
        if chat.model not in (None, settings.model_name):
            msg = f"the model {chat.model!r} does not exist; this engine serves "
            raise UnknownModelError(msg + repr(settings.model_name), param="model")
        completion = plan_completion(chat, settings.profile, seed=settings.seed)
        fault = self._faults.draw()
        if fault is not None and fault.kind is FaultKind.ERROR:
            msg = "injected by --fault-rate"
            raise InjectedError(msg, headers=headers)
        request = completion.engine_request(
            self.driver.next_id(), block_size=settings.profile.block_size, chat=chat
        )
        name = http.headers.get("X-Request-Id") or chat.request_id or uuid.uuid4().hex
        return _Exchange(
            http=http,
            chat=chat,
            ticket=self.driver.submit(request, every_token=bool(chat.stream) or fault is not None),
            answer=AnswerFormat(
                completion, response_id=f"chatcmpl-{name}", model=settings.model_name
            ),
            fault=fault,
            headers=headers,
        )

    async def _complete(self, exchange: _Exchange) -> web.StreamResponse:
        finished = None
        while finished is None:
            finished = await exchange.ticket.wait()
            if await self._break_off(exchange, finished):
                return web.Response()
        return web.json_response(exchange.answer.body(finished), headers=exchange.headers)

    async def _stream(self, exchange: _Exchange) -> web.StreamResponse:
        response = web.StreamResponse(headers={**exchange.headers, "cache-control": "no-cache"})
        response.content_type = "text/event-stream"
        with contextlib.suppress(ConnectionResetError):  # a client may leave at any time
            await response.prepare(exchange.http)
            try:
                whole = await self._write_events(exchange, response)
            except OverloadedError:
                whole = False
            if whole:
                await response.write_eof()
            else:
                _cut(exchange.http)
        return response

    async def _write_events(self, exchange: _Exchange, response: web.StreamResponse) -> bool:
        """Write tokens as they come; False when a fault broke the answer off."""
        ticket, answer = exchange.ticket, exchange.answer
        finished = None
        sent = 0
        while finished is None:
            finished = await ticket.wait()
            # As real engines do, open the stream with the first token: clients time it.
            events = answer.role_chunk() if sent == 0 else b""
            events += answer.token_chunk(sent, ticket.emitted)
            sent = ticket.emitted
            if finished is not None and exchange.fault is None:
                events += answer.final_chunks(finished, include_usage=exchange.chat.include_usage)
            if events:
                await response.write(events)
            if await self._break_off(exchange, finished):
                return False
        return True

    async def _break_off(self, exchange: _Exchange, finished: Finished | None) -> bool:
        """Carry out a cut or a stall when it is due; True when the answer ends here."""
        fault, ticket = exchange.fault, exchange.ticket
        if fault is None or (ticket.emitted < fault.after_tokens and finished is None):
            return False
        self.driver.abort(ticket)
        if fault.kind is FaultKind.STALL:
            await asyncio.sleep(self.settings.stall_s)
        _cut(exchange.http)
        return True


def _cut(http: web.Request) -> None:
    # aiohttp has taken the transport away when the client left first.
    transport: asyncio.BaseTransport | None = http.transport
    if isinstance(transport, asyncio.Transport):
        transport.abort()


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RequestError as exc:
        body = error_body(str(exc), kind=exc.kind, status=exc.status, param=exc.param)
        return web.json_response(body, status=exc.status, headers=exc.headers)
    except web.HTTPException as exc:
        body = error_body(exc.text or exc.reason, kind=exc.reason, status=exc.status)
        return web.json_response(body, status=exc.status)


async def run_server(
    settings: ServerSettings,
    *,
    host: str,
    port: int,
    on_ready: Callable[[int, ChatServer], None],
    stop: asyncio.Event,
) -> None:
    """Serve until `stop` is set.

    Args:
        settings: What to emulate and how to serve it.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        on_ready: Called with the port once the server listens.
        stop: Set it to end the server; open streams are cut.

    Raises:
        OSError: When the address cannot be used.
    """
    chat_server = ChatServer(settings)
    runner = web.AppRunner(
        chat_server.build_app(),
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=SHUTDOWN_S,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        on_ready(int(runner.addresses[0][1]), chat_server)
        await stop.wait()
    finally:
        await runner.cleanup()
