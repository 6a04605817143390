"""Refuse bodies over the limit before they are kept anywhere (Django would spool them to disk first)."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# A client that is still sending doesn't read our answer: take this much more off the wire, unkept, and
# then answer whatever it does.
DRAINED = 64 * 1024 * 1024
REFUSAL = json.dumps({"error": "The body is larger than 10 MiB.", "code": "PAYLOAD_TOO_LARGE"}).encode()


class TooLarge(Exception):
    pass


def limit_bodies(application: Application, maximum: int) -> Application:
    """Wrap an ASGI application; a longer body is answered 413, by its announced or by its real length."""

    async def limited(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        announced = announced_length(scope)
        if announced is not None and announced > maximum:
            await refuse(receive, send, DRAINED)
            return
        try:
            await application(scope, counted(receive, maximum), send)
        except TooLarge:
            await refuse(receive, send, DRAINED)

    return limited


def announced_length(scope: MutableMapping[str, Any]) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None


def counted(receive: Receive, maximum: int) -> Receive:
    taken = 0

    async def count() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > maximum:
            raise TooLarge
        return message

    return count


async def refuse(receive: Receive, send: Send, drain: int) -> None:
    more = True
    while more and drain > 0:
        message = await receive()
        drain -= len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": REFUSAL})
