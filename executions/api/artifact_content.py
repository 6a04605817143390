"""Downloads: streamed piece by piece, always as a file, never shown by our origin."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from rest_framework.request import Request

from executions.artifacts.content import PIECE, read_piece
from executions.models import Artifact, ArtifactVersion

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-cache",
    "Accept-Ranges": "bytes",
}


class Vanished(Exception):
    """The version was deleted while it was read: the connection breaks off, since the length was said."""


class Pieces(StreamingHttpResponse):
    """A stream of pieces that are each read from the database when the last one has been sent.

    Between pieces the connection goes back to the pool: a slow client would hold it for hours.
    """

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces: Iterator[bytes] = iter(self.streaming_content)  # type: ignore[arg-type]  # no async one
        while (piece := await sync_to_async(lambda: next(pieces, None))()) is not None:
            yield piece


def download(request: Request, artifact: Artifact, version: ArtifactVersion | None) -> HttpResponseBase:
    """Answer a version, or the data of an artifact that has none, as a file."""
    if version is None:
        body = json.dumps(artifact.data, ensure_ascii=False).encode()
        response: HttpResponseBase = HttpResponse(body, content_type="application/json")
        return _named(response, f"{file_name(artifact)}.json", {"Accept-Ranges": "none"})
    size, etag = version.size_bytes, f'"{version.sha256}"'
    span = span_of(request.headers.get("Range", ""), request.headers.get("If-Range"), size, etag)
    if span is None:
        response = HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
        return _named(response, file_name(artifact), {"ETag": etag})
    first, last = span
    response = Pieces(read(version.pk, first, last), content_type=version.content_type)
    headers = {"Content-Length": str(last - first), "ETag": etag}
    if (first, last) != (0, size):
        response.status_code = 206
        headers["Content-Range"] = f"bytes {first}-{last - 1}/{size}"
    return _named(response, file_name(artifact), headers)


def _named(response: HttpResponseBase, name: str, headers: dict[str, str]) -> HttpResponseBase:
    disposition = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    for key, value in {**HEADERS, **headers, "Content-Disposition": disposition}.items():
        response.headers[key] = value
    return response


def file_name(artifact: Artifact) -> str:
    """Return a name without folders or characters that some file system refuses."""
    last = (artifact.name or "").rpartition("/")[2] or artifact.ref
    return _UNSAFE.sub("_", last).strip(". ")[:200] or "artifact"


def read(version_id: int, first: int, last: int) -> Iterator[bytes]:
    """Give the bytes from `first` to before `last`."""
    while first < last:
        piece = read_piece(version_id, first // PIECE)
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
        part = piece[first % PIECE : first % PIECE + last - first]
        if not part:
            raise Vanished(f"version {version_id} was deleted while it was read")
        yield part
        first += len(part)


def span_of(asked: str, if_range: str | None, size: int, etag: str) -> tuple[int, int] | None:
    """Return the asked bytes as (first, past the last); all if none are asked for, None if none are there."""
    found = _RANGE.fullmatch(asked.strip())
    if found is None or (if_range is not None and if_range != etag) or found[0] == "bytes=-":
        return 0, size
    begin, end = found[1], found[2]
    if not begin:
        return (max(0, size - int(end)), size) if int(end) and size else None
    last = size if not end else min(int(end) + 1, size)
    if end and int(end) < int(begin):
        return 0, size
    return (int(begin), last) if int(begin) < size else None


def json_file(value: Any, content_type: str) -> bytes:
    """Return the content of a version that came as a value."""
    if isinstance(value, str) and content_type != "application/json":
        return value.encode()
    return json.dumps(value, ensure_ascii=False).encode()
