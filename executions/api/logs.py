"""What actions write, over HTTP: as text from a byte on, and as a stream while they run."""

import time
from collections.abc import AsyncGenerator

from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from attune_project.identity.rbac import visible_or_404
from attune_project.identity.staying import Look, look_again
from attune_project.rest import sse
from attune_project.rest.errors import UnknownFilter, Unprocessable
from attune_project.rest.query import whole_number
from attune_project.rest.views import View, row_id
from executions.models import Execution
from executions.models.log import Stream
from executions.streams.changes import readable
from executions.streams.hub import hub
from executions.streams.log_pages import Page, page

STREAM = OpenApiParameter("stream", str, OpenApiParameter.PATH, enum=Stream.values)
OFFSET = OpenApiParameter("offset", int, description="The first byte.")
ATTEMPT = OpenApiParameter("attempt", int, description="Its number; by default the last one.")
RESUME = OpenApiParameter("last_event_id", str, description="As the header Last-Event-ID.")
NEXT = "X-Log-Offset"
COMPLETE = "X-Log-Complete"
HEADERS = [
    OpenApiParameter(NEXT, int, OpenApiParameter.HEADER, response=True, description="The next offset."),
    OpenApiParameter(
        COMPLETE,
        bool,
        OpenApiParameter.HEADER,
        response=True,
        description="Is this the end of it?",
    ),
]


class LogView(View):
    """A stream of one execution. `place` is checked by every route below."""

    resource = "executions"
    permission_map = {"get": "read"}
    enveloped = False
    parameters: frozenset[str] = frozenset({"offset", "attempt", "format"})

    def place(self, request: Request, pk: str, stream: str) -> tuple[int, str, int | None]:
        """Return execution, stream and attempt, once the caller may read them."""
        for parameter in request.query_params:
            if parameter not in self.parameters:
                raise UnknownFilter(f"Unknown parameter {parameter[:80]!r}")
        execution = visible_or_404(
            request.user, "executions", Execution.objects.only("pk").order_by(), pk=row_id(pk)
        )
        if stream not in Stream.values:
            raise Unprocessable({"stream": [f"{stream[:40]!r} isn't one of {', '.join(Stream.values)}"]})
        return execution.pk, stream, whole_number(request.query_params, "attempt", minimum=1)


class LogText(LogView):
    @extend_schema(
        operation_id="executions_logs",
        parameters=[STREAM, OFFSET, ATTEMPT, *HEADERS],
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    def get(self, request: Request, pk: str, stream: str) -> HttpResponse:
        execution_id, name, attempt = self.place(request, pk, stream)
        offset = whole_number(request.query_params, "offset", minimum=0) or 0
        found = [first(execution_id, name, attempt, offset)]
        while found[-1].content and not found[-1].complete:
            found.append(first(execution_id, name, found[0].attempt or attempt, found[-1].end))
        response = HttpResponse([one.content for one in found], content_type="text/plain; charset=utf-8")
        response.headers[NEXT] = str(found[-1].end)
        response.headers[COMPLETE] = str(found[-1].complete).lower()
        response.headers["Cache-Control"] = "no-store"
        return response


def first(execution_id: int, name: str, attempt: int | None, offset: int) -> Page:
    """Return a page, or raise 404 for an attempt that isn't there."""
    found = page(execution_id, name, attempt, offset)
    if found is None:
        raise NotFound(f"Execution {execution_id} has no attempt {attempt}.")
    return found


class LogStream(LogView):
    parameters = LogView.parameters | {"last_event_id"}

    @extend_schema(
        operation_id="executions_logs_stream",
        description="Server-sent events: each one's data is a JSON string, a piece of the text; its id is"
        " the byte offset after the piece. `event: end` comes when the attempt is over.",
        parameters=[STREAM, OFFSET, ATTEMPT, RESUME],
        responses={(200, "text/event-stream"): OpenApiTypes.STR},
    )
    def get(self, request: Request, pk: str, stream: str) -> HttpResponseBase:
        execution_id, name, attempt = self.place(request, pk, stream)
        offset = whole_number(request.query_params, "offset", minimum=0) or 0
        resumed = sse.last_event_id(request._request)
        if resumed is not None:
            offset = sse.position(resumed, "last_event_id")
        first(execution_id, name, attempt, offset)
        return sse.stream(request._request, tail(look_again(request), execution_id, name, attempt, offset))


async def tail(
    look: Look, execution_id: int, name: str, attempt: int | None, offset: int
) -> AsyncGenerator[bytes]:
    """Follow a stream of an attempt from a byte on, until that is over or the caller may read no more."""
    waker = hub().watch(execution_id)
    beat_at = time.monotonic() + sse.BEAT
    try:
        yield sse.RECONNECT
        while True:
            found = await sse.read(page, execution_id, name, attempt, offset)
            if found is None:  # removed meanwhile
                return
            attempt = attempt or found.attempt or None
            if found.content:
                offset = found.end
                yield sse.event(found.content.decode(), cursor=offset)
            if found.complete:
                yield sse.event({"attempt": found.attempt, "offset": offset}, name="end", cursor=offset)
                return
            if not found.content:
                await waker.wait(beat_at - time.monotonic())
            if time.monotonic() >= beat_at:
                if not await sse.read(may_read, look, execution_id):
                    return
                yield sse.BEAT_FRAME
                beat_at = time.monotonic() + sse.BEAT
    finally:
        hub().leave(waker)


def may_read(look: Look, execution_id: int) -> bool:
    """Tell whether the caller, as of now, still may read the execution."""
    identity = look()
    if identity is None:
        return False
    return bool(readable(identity, [execution_id]))
