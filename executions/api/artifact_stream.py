"""`GET /artifacts/{id}/stream`: new versions and new data of an artifact, as server-sent events."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from attune_project.identity.rbac import visible, visible_or_404
from attune_project.identity.staying import Look, look_again
from attune_project.rest import sse
from attune_project.rest.errors import BadRequest, UnknownFilter
from attune_project.rest.views import View, row_id
from executions.api.artifact_shapes import VersionItem
from executions.models import Artifact
from executions.models.artifact import ArtifactType

POLL = 1.0  # seconds
BATCH = 100  # versions that are told at once
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PARAMETERS = ("last_event_id", "format")
_PLACE = re.compile(r"(\d{1,10})-(\d{1,18})-(\d{1,10})", re.ASCII)


@dataclass(frozen=True)
class Place:
    """How far a stream has come: the newest version told, and which data, with how many entries."""

    version: int
    moved: int  # microseconds since 1970 of the artifact's `updated`
    entries: int = 0

    def __str__(self) -> str:
        return f"{self.version}-{self.moved}-{self.entries}"


class ArtifactStream(View):
    resource = "artifacts"
    permission_map = {"get": "read"}
    enveloped = False

    @extend_schema(
        operation_id="artifacts_stream",
        description="Server-sent events. `version`: a version as in lists, from the newest one on; its"
        " content is downloaded. `data`: the data of an artifact that has some, each time it is written."
        " `entries`: a list of what was appended to one of type progress. `end`: the artifact is gone."
        " Resume with Last-Event-ID (or `last_event_id`): repeats are possible, a missed version isn't.",
        parameters=[OpenApiParameter("last_event_id", str)],
        responses={(200, "text/event-stream"): OpenApiTypes.STR},
    )
    def get(self, request: Request, pk: str) -> HttpResponseBase:
        for name in request.query_params:
            if name not in PARAMETERS:
                raise UnknownFilter(f"Unknown parameter {name[:80]!r}")
        row = visible_or_404(request.user, "artifacts", Artifact.objects.only("pk").order_by(), pk=row_id(pk))
        resumed = sse.last_event_id(request._request)
        place = None if resumed is None else place_of(resumed)
        return sse.stream(request._request, follow(look_again(request), row.pk, place))


def place_of(text: str) -> Place:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise BadRequest(f"last_event_id: {text[:40]!r} isn't a place in this stream")
    return Place(*(int(number) for number in found.groups()))


async def follow(look: Look, artifact_id: int, place: Place | None) -> AsyncGenerator[bytes]:
    """Tell what is new since a place, and what comes, until it is gone or the caller may read it no more."""
    beat_at = time.monotonic() + sse.BEAT
    yield sse.RECONNECT
    while True:
        found = await sse.read(news, artifact_id, place)
        if found is None:
            yield sse.event({}, name="end")
            return
        told, place = found
        if told:
            yield told
            continue
        await asyncio.sleep(min(POLL, max(0.0, beat_at - time.monotonic())))
        if time.monotonic() >= beat_at:
            if not await sse.read(may_read, look, artifact_id):
                return
            yield sse.BEAT_FRAME
            beat_at = time.monotonic() + sse.BEAT


def may_read(look: Look, artifact_id: int) -> bool:
    """Tell whether the caller, as of now, still may read the artifact."""
    identity = look()
    rows = Artifact.objects.filter(pk=artifact_id)
    return identity is not None and visible(identity, "artifacts", rows).exists()


def news(artifact_id: int, since: Place | None) -> tuple[bytes, Place] | None:
    """Return the events since a place, and the place after them; None if there is no such artifact.

    Without a place it is the newest version, and the data.
    """
    row = Artifact.objects.defer("data").filter(pk=artifact_id).first()
    if row is None:
        return None
    moved = (row.updated - EPOCH) // timedelta(microseconds=1)
    place = since or Place(max(0, row.last_version - 1), 0)
    place, told = _versions(row, place)
    if place.moved == moved or place.version < row.last_version:
        return told, place
    place, written = _data(row, replace(place, moved=moved))
    return told + written, place


def _versions(row: Artifact, place: Place) -> tuple[Place, bytes]:
    """Return events of the next versions; those that were deleted meanwhile have none."""
    if place.version >= row.last_version:
        return place, b""
    told = b""
    found = list(row.versions.filter(version__gt=place.version).order_by("version")[:BATCH])
    for version in found:
        place = replace(place, version=version.version)
        told += sse.event(VersionItem(version).data, cursor=str(place), name="version")
    if len(found) < BATCH:
        place = replace(place, version=max(place.version, row.last_version))
    return place, told


def _data(row: Artifact, place: Place) -> tuple[Place, bytes]:
    """Return an event of data that was written: of a list that grew only what is new."""
    data: Any = row.data
    count = len(data) if row.type == ArtifactType.PROGRESS and isinstance(data, list) else 0
    after = replace(place, entries=count)
    if data is None:
        return after, b""
    if 0 < place.entries < count:
        return after, sse.event(data[place.entries :], cursor=str(after), name="entries")
    return after, sse.event(data, cursor=str(after), name="data")
