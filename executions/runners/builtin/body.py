"""Read an answer's body, unpacked, up to a limit that holds for what comes out of the packing."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import httpx

from executions.runners.capture import LIMIT


class Unreadable(Exception):
    """A body that can't be kept; the message says why."""


async def read_body(response: httpx.Response) -> bytes:
    """Return the whole body; raise Unreadable when it is too large or packed in an unknown way."""
    unpack = _unpacker(response.headers.get("content-encoding", ""))
    assert isinstance(response.stream, httpx.AsyncByteStream)
    body = bytearray()
    async for chunk in response.stream:
        body += unpack(chunk, LIMIT + 1 - len(body))
        if len(body) > LIMIT:
            raise Unreadable(f"the answer is larger than {LIMIT} bytes")
    return bytes(body)


def decode(response: httpx.Response, body: bytes) -> str:
    """Return the body as text in the charset it claims, else UTF-8; wrong bytes are replaced."""
    try:
        return body.decode(response.charset_encoding or "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def _unpacker(encoding: str) -> Callable[[bytes, int], bytes]:
    """Return a function that unpacks a chunk to at most so many bytes.

    One layer of packing only: each further one multiplies what a small answer can become.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return lambda chunk, _room: chunk
    if name not in ("gzip", "x-gzip", "deflate"):
        raise Unreadable(f"the answer is packed as {encoding!r}, which was not asked for")
    stream = zlib.decompressobj(wbits=47)  # gzip and zlib, told apart by their headers

    def unpack(chunk: bytes, room: int) -> bytes:
        try:
            return stream.decompress(chunk, room)
        except zlib.error as problem:
            raise Unreadable(f"the answer's packing is broken: {problem}") from None

    return unpack
