"""Refuse bodies over the limit before they are kept anywhere (Django would spool them to disk first)."""

import json
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from .trace import trace_from_header

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[..., Awaitable[None]]

MIB = 1024 * 1024
# A client that is still sending doesn't read our answer: take this much more off the wire, unkept, and
# then answer whatever it does.
DRAINED = 64 * MIB


class TooLarge(Exception):
    pass


def limit_bodies(
    application: Application, maximum: int, larger: Callable[[Scope], int] = lambda scope: 0
) -> Application:
    """Wrap an ASGI application; a longer body is answered 413, by its announced or by its real length.

    `larger` says how long the body of a request may be that may be longer than others.
    """

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        most = max(maximum, larger(scope))
        body = Counted(receive, most, trace_of(scope))
        try:
            if announced_length(scope) > most:
                raise TooLarge
            await application(scope, body, send)
        except TooLarge:
            await refuse(body, send, most)

    return limited


def announced_length(scope: MutableMapping[str, Any]) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def trace_of(scope: MutableMapping[str, Any]) -> uuid.UUID:
    """Take or make the trace id as TraceMiddleware does, which such a request never reaches."""
    found = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"]
    return trace_from_header(found[0] if found else None) or uuid.uuid4()


class Counted:
    """The client's messages, until they hold more than `maximum` bytes of body."""

    def __init__(self, receive: Receive, maximum: int, trace: uuid.UUID) -> None:
        self.receive, self.left, self.trace, self.ended = receive, maximum, trace, False

    async def __call__(self) -> Message:
        message = await self.receive()
        self.ended = message["type"] != "http.request" or not message.get("more_body", False)
        self.left -= len(message.get("body", b""))
        if self.left < 0:
            raise TooLarge
        return message


async def refuse(body: Counted, send: Send, most: int) -> None:
    """Hear the client out, keeping nothing, and answer 413."""
    body.left = DRAINED
    with suppress(TooLarge):
        while not body.ended:
            await body()
    headers = [
        (b"content-type", b"application/json"),
        (b"connection", b"close"),
        (b"x-request-id", str(body.trace).encode()),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    text = f"The body is larger than {most // MIB} MiB."
    refusal = json.dumps({"error": text, "code": "PAYLOAD_TOO_LARGE"}).encode()
    await send({"type": "http.response.body", "body": refusal})
