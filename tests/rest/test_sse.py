"""Frames of streams, and how a stream leaves the request that began it."""

import asyncio
import json

import pytest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from attune_project.rest import sse
from attune_project.rest.errors import BadRequest


def test_an_event_is_one_line_of_json():
    frame = sse.event({"text": "a\nb\r\u2028"}, cursor="5-1", name="end")

    head, data = frame.decode().removesuffix("\n\n").rsplit("\n", 1)
    assert head == "id: 5-1\nevent: end"
    assert json.loads(data.removeprefix("data: ")) == {"text": "a\nb\r\u2028"}
    assert data.isascii()


def test_the_header_of_a_browser_that_comes_back_counts_before_the_query():
    request = RequestFactory().get("/?last_event_id=3", headers={"Last-Event-ID": "7"})

    assert sse.last_event_id(request) == "7"
    assert sse.last_event_id(RequestFactory().get("/?last_event_id=3")) == "3"
    assert sse.last_event_id(RequestFactory().get("/")) is None


@pytest.mark.parametrize("text", ["", "-1", "x", "1.5", "²", "9" * 19, "9" * 30])
def test_what_is_no_place_in_a_stream_is_refused(text):
    with pytest.raises(BadRequest, match="last_event_id"):
        sse.position(text, "last_event_id")


class Connection:
    """What an ASGI server is to an application."""

    def __init__(self):
        self.sent = []
        self.left = asyncio.Event()

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent)


def serve(view, during=None):
    """Let `view` answer one request through the wrapper; return what a server would be sent."""

    async def application(scope, receive, send):
        request = HttpRequest()
        request.scope = scope
        response = view(request)
        headers = [(b"Content-Length", b"0"), *((k.encode(), v.encode()) for k, v in response.items())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": response.content})

    async def go():
        connection = Connection()
        served = asyncio.create_task(
            sse.streams_outside_requests(application)({"type": "http"}, connection.receive, connection.send)
        )
        if during is not None:
            await during(connection)
        async with asyncio.timeout(60):
            await served
        return connection

    return asyncio.run(go())


async def two_frames():
    yield b"one"
    yield b"two"


def test_a_stream_is_sent_after_its_request():
    connection = serve(lambda request: sse.stream(request, two_frames()))

    start, *bodies = connection.sent
    assert b"Content-Length" not in dict(start["headers"])
    assert dict(start["headers"])[b"Content-Type"] == b"text/event-stream; charset=utf-8"
    assert [message["body"] for message in bodies] == [b"one", b"two", b""]
    assert [message["more_body"] for message in bodies] == [True, True, False]


def test_any_other_answer_is_left_alone():
    connection = serve(lambda request: HttpResponse(b"plain"))

    assert connection.body == b"plain"
    assert len(connection.sent) == 2


def test_a_client_that_leaves_ends_its_stream():
    ended = []

    async def endless():
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def leave(connection):
        async with asyncio.timeout(60):
            while connection.body != b"one":
                await asyncio.sleep(0)
        connection.left.set()

    serve(lambda request: sse.stream(request, endless()), during=leave)

    assert ended == [True]


def test_without_the_wrapper_django_sends_the_stream():
    response = sse.stream(RequestFactory().get("/"), two_frames())

    assert isinstance(response, StreamingHttpResponse)
