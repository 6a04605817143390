"""`GET /executions/stream`: the present state of whatever changes, as server-sent events."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from attune_project.identity.models import Identity
from attune_project.identity.staying import Look, look_again
from attune_project.rest import sse
from attune_project.rest.errors import BadRequest, UnknownFilter
from attune_project.rest.views import View
from executions.models import Status
from executions.streams import changes
from executions.streams.changes import Change
from executions.streams.hub import hub

KNOWN = ("execution_id", "action_ref", "status", "last_event_id")
MOST_IDS = 1000


@dataclass(frozen=True)
class Wanted:
    """What a stream is about; empty means everything."""

    ids: frozenset[int] = frozenset()
    action_refs: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()

    def fits(self, change: Change) -> bool:
        return (
            (not self.ids or change.id in self.ids)
            and (not self.action_refs or change.action_ref in self.action_refs)
            and (not self.statuses or change.status in self.statuses)
        )


class ExecutionStream(View):
    resource = "executions"
    permission_map = {"get": "read"}
    enveloped = False

    @extend_schema(
        operation_id="executions_stream",
        description="Server-sent events without a name. Data: `{entity_type, entity_id, notification_type,"
        " timestamp, payload}`, with `notification_type` `execution_created` or `execution_status_changed`."
        " It tells the present state of whatever changed; states that passed may be left out. The payload of"
        " an execution that tells how far it has come has `progress`, too. Resume with"
        " Last-Event-ID (or `last_event_id`): repeats are possible, a missed change isn't.",
        parameters=[
            OpenApiParameter("execution_id", int, many=True),
            OpenApiParameter("action_ref", str, many=True),
            OpenApiParameter("status", str, many=True, enum=Status.values),
            OpenApiParameter("last_event_id", str),
        ],
        responses={(200, "text/event-stream"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponseBase:
        wanted = wanted_of(request)
        resumed = sse.last_event_id(request._request)
        cursor = None if resumed is None else moment_of(resumed)
        return sse.stream(request._request, follow(look_again(request), wanted, cursor))


def wanted_of(request: Request) -> Wanted:
    """Read the filters; a repeated or comma-separated value means any of them."""
    for name in request.query_params:
        if name not in KNOWN and name != "format":
            raise UnknownFilter(f"Unknown filter {name[:80]!r}; this stream knows {', '.join(KNOWN)}")
    ids = frozenset(sse.position(word, "execution_id") for word in _words(request, "execution_id"))
    if len(ids) > MOST_IDS:
        raise BadRequest(f"execution_id: at most {MOST_IDS} of them")
    statuses = frozenset(_words(request, "status"))
    for status in statuses - set(Status.values):
        raise BadRequest(f"status: {status[:40]!r} isn't one of {', '.join(Status.values)}")
    return Wanted(ids, frozenset(_words(request, "action_ref")), statuses)


def _words(request: Request, name: str) -> list[str]:
    texts = request.query_params.getlist(name)
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]


def moment_of(cursor: str) -> datetime:
    return changes.moment_of(sse.position(cursor.partition("-")[0], "last_event_id"))


@dataclass(frozen=True)
class Reader:
    """Who reads a stream, with the rights of the last look."""

    identity: Identity
    reads_all: bool

    @classmethod
    def of(cls, look: Look) -> "Reader | None":
        identity = look()
        return None if identity is None else cls(identity, changes.reads_all(identity))

    async def readable(self, told: list[Change]) -> list[Change]:
        """Leave out what the reader may not read."""
        if self.reads_all or not told:
            return told
        seen = await sse.read(changes.readable, self.identity, [change.id for change in told])
        return [change for change in told if change.id in seen]


async def follow(look: Look, wanted: Wanted, cursor: datetime | None) -> AsyncGenerator[bytes]:
    """Tell what changed since the cursor, then what changes, until the caller may read it no more.

    Who falls too far behind is let go: coming back with its last event, it misses nothing.
    """
    subscription = hub().subscribe(wanted.fits)
    beat_at = time.monotonic() + sse.BEAT
    try:
        yield sse.RECONNECT
        reader = await sse.read(Reader.of, look)
        if reader is None:
            return
        async with aclosing(past(wanted, cursor)) as batches:
            async for told in batches:
                if frames := await frames_of(told, wanted, reader):
                    yield frames
        while not subscription.overflowed:
            told = await subscription.wait(beat_at - time.monotonic())
            if frames := await frames_of(told, wanted, reader):
                yield frames
            if time.monotonic() >= beat_at:
                reader = await sse.read(Reader.of, look)
                if reader is None:
                    return
                yield sse.BEAT_FRAME
                beat_at = time.monotonic() + sse.BEAT
    finally:
        hub().leave(subscription)


async def past(wanted: Wanted, cursor: datetime | None) -> AsyncGenerator[list[Change]]:
    """Return what the stream begins with: the executions it names, else what changed since the cursor."""
    if wanted.ids:
        yield await sse.read(changes.present, sorted(wanted.ids))
    elif cursor is not None:
        batches = changes.since(cursor)
        while (batch := await sse.read(next, batches, None)) is not None:
            yield [replace(change, created_now=change.created >= cursor) for change in batch]


async def frames_of(told: list[Change], wanted: Wanted, reader: Reader) -> bytes:
    fitting = await reader.readable([change for change in told if wanted.fits(change)])
    return b"".join(map(events_of, fitting))


@lru_cache(maxsize=2000)
def events_of(change: Change) -> bytes:
    """Return the events of a change: a new execution is told as such, and what became of it since, too.

    Kept, since every stream that is about it tells the same.
    """
    created = _event(change, "execution_created", change.created) if change.created_now else b""
    if change.created_now and not change.changed_since_creation:
        return created
    return created + _event(change, "execution_status_changed", change.updated)


def _event(change: Change, kind: str, moment: datetime) -> bytes:
    payload: dict[str, Any] = {
        "status": change.status,
        "action_ref": change.action_ref,
        "parent": change.parent,
        "enforcement": change.enforcement,
        "rule_ref": change.rule_ref,
        "workflow_task": None,
        "updated": _text(change.updated),
    }
    if change.old_status is not None:
        payload["old_status"] = change.old_status
    if change.progressed is not None:
        moved = _text(change.progressed)
        payload["progress"] = {"percent": change.percent, "text": change.text, "updated": moved}
    data = {
        "entity_type": "execution",
        "entity_id": change.id,
        "notification_type": kind,
        "timestamp": _text(moment),
        "payload": payload,
    }
    return sse.event(data, cursor=change.cursor)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
