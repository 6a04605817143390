"""Server-sent events: what streams share.

A stream is an async iterator of frames. Under our ASGI server it is sent outside Django's request: a
request keeps a thread and may keep a database connection for as long as it lasts, a stream keeps
neither. What a stream reads, it reads by `read`, in a few threads that all streams share.
"""

import asyncio
import json
import signal
import threading
from collections.abc import AsyncGenerator, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from django.db import connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from .body_limit import Application, Message, Receive, Send
from .errors import BadRequest
from .query import LARGEST

P = ParamSpec("P")
T = TypeVar("T")
Frames = AsyncGenerator[bytes]

READERS = 4  # threads, and so database connections, that all streams of a process read with
BEAT = 15.0  # seconds between comments, and between looks whether the caller still may read
RECONNECT = b"retry: 2000\n\n"  # milliseconds after which a browser comes back
BEAT_FRAME = b":\n\n"
SCOPE_KEY = "attune.handover"
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx would wait for more
}

_readers = ThreadPoolExecutor(READERS, thread_name_prefix="stream-reader")


def event(data: Any, *, cursor: str | int | None = None, name: str | None = None) -> bytes:
    """Return an event whose data is one line of JSON; `cursor` is what a client resumes from."""
    lines = [] if cursor is None else [f"id: {cursor}"]
    if name is not None:
        lines.append(f"event: {name}")
    lines.append(f"data: {json.dumps(data, separators=(',', ':'))}")
    return ("\n".join(lines) + "\n\n").encode()


async def read(function: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Call a function that reads the database, and give its connection back."""

    def call() -> T:
        try:
            return function(*args, **options)
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(_readers, call)


def last_event_id(request: HttpRequest) -> str | None:
    """Return what a client has got already: by its header (a browser that comes back), else by its query."""
    return request.headers.get("Last-Event-ID") or request.GET.get("last_event_id") or None


def position(text: str, name: str) -> int:
    """Read a place in a stream, a whole number of up to 64 bits."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > LARGEST:
        raise BadRequest(f"{name}: {text[:40]!r} isn't a place in this stream")
    return int(text)


@dataclass
class Handover:
    """Where a view leaves the stream that is to be sent after its request."""

    frames: Frames | None = None
    headers_sent: bool = field(default=False)


def stream(request: HttpRequest, frames: Frames) -> HttpResponseBase:
    """Answer a request with a stream."""
    handover: Handover | None = getattr(request, "scope", {}).get(SCOPE_KEY)
    if handover is None:
        return StreamingHttpResponse(frames, headers=HEADERS)
    handover.frames = frames
    return HttpResponse(headers=HEADERS)


def streams_outside_requests(application: Application) -> Application:
    """Wrap Django's application: what a view handed over is sent once its request has ended."""

    async def streaming(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        handover = scope[SCOPE_KEY] = Handover()

        async def held_back(message: Message) -> None:
            if handover.frames is None:
                await send(message)
            elif message["type"] == "http.response.start":
                handover.headers_sent = True
                kept = [pair for pair in message["headers"] if pair[0].lower() != b"content-length"]
                await send({**message, "headers": kept})

        await application(scope, receive, held_back)
        if handover.frames is not None and handover.headers_sent:
            await _send_frames(handover.frames, receive, send)

    return streaming


async def _send_frames(frames: Frames, receive: Receive, send: Send) -> None:
    """Send until the stream ends, its client goes, or this process is asked to end."""
    sending = asyncio.ensure_future(_pump(frames, send))
    leaving = asyncio.ensure_future(_left(receive))
    _open.add(sending)
    _end_with_the_process()
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        client_left = leaving.done()
    finally:
        _open.discard(sending)
        sending.cancel()
        leaving.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)
    if not client_left:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _pump(frames: Frames, send: Send) -> None:
    async with aclosing(frames):
        async for frame in frames:
            await send({"type": "http.response.body", "body": frame, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


_open: set[asyncio.Future[None]] = set()
_minds_signals = False


def _end_with_the_process() -> None:
    """End streams on SIGTERM and SIGINT, before the server's own handler waits for every answer to end."""
    global _minds_signals  # noqa: PLW0603 (once per process)
    if _minds_signals or threading.current_thread() is not threading.main_thread():
        return
    _minds_signals = True
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, _ending(loop, before))


def _ending(loop: asyncio.AbstractEventLoop, before: Callable[..., Any]) -> Callable[[int, Any], None]:
    def handle(number: int, frame: Any) -> None:
        loop.call_soon_threadsafe(_end_all)
        before(number, frame)

    return handle


def _end_all() -> None:
    for sending in list(_open):
        sending.cancel()
