"""Requests are answered by threads of the handler's own, each from its first line to its last."""

import asyncio
import threading

import pytest
from django.db import connection, connections
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from attune_project.rest.handler import RequestHandler

PATIENCE = 60
both = threading.Barrier(2)
closed = threading.Event()


def where(request):
    return HttpResponse(threading.current_thread().name)


def body(request):
    return HttpResponse(request.body)


def meet(request):
    """Answer once another request is being answered."""
    both.wait(PATIENCE)
    return HttpResponse(threading.current_thread().name)


def look(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse(str(connection.connection is not None))


def kept(request):
    return HttpResponse(str(connection.connection is not None))


def pieces(request):
    async def frames():
        yield b"one"
        yield b"two"

    return StreamingHttpResponse(frames())


def endless(request):
    async def frames():
        while True:
            yield b"more"
            await asyncio.sleep(0)

    response = StreamingHttpResponse(frames())
    response._resource_closers.append(closed.set)
    return response


def breaks(request):
    async def frames():
        yield b"one"
        raise ValueError("gone")

    return StreamingHttpResponse(frames())


def fails(request):
    raise LookupError("here")


views = (where, body, meet, look, kept, pieces, endless, breaks, fails)
urlpatterns = [path(view.__name__, view) for view in views] + [path("health", where)]


@pytest.fixture
def make_handler(settings):
    settings.ROOT_URLCONF = __name__
    return RequestHandler


def run(handler, *requests):
    """Return (status, body) of each request, all of them sent at once."""

    async def every():
        return await asyncio.wait_for(asyncio.gather(*(ask(handler, *each) for each in requests)), PATIENCE)

    return asyncio.run(every())


async def ask(handler, target, *sent, after=None):
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in sent[:-1]]
    messages += [{"type": "http.request", "body": sent[-1] if sent else b"", "more_body": False}]
    answered = []
    scope = {"type": "http", "method": "GET", "path": target, "query_string": b"", "headers": []}
    scope["headers"] = [(b"host", b"localhost")]

    async def receive():
        if messages:
            return messages.pop(0)
        await (after.wait() if after else asyncio.Event().wait())
        return {"type": "http.disconnect"}

    async def send(message):
        answered.append(message)
        if after and len(answered) > 3:
            after.set()

    await handler(scope, receive, send)
    return answered[0]["status"], b"".join(message.get("body", b"") for message in answered)


def test_a_thread_of_its_own_answers(make_handler):
    ((status, name),) = run(make_handler(1), ["/where"])

    assert (status, name) == (200, b"request_0")


def test_a_body_in_pieces_is_one(make_handler):
    assert run(make_handler(1), ["/body", b"a", b"b", b"c"]) == [(200, b"abc")]


def test_as_many_at_once_as_there_are_threads(make_handler):
    answers = run(make_handler(2), ["/meet"], ["/meet"])

    assert sorted(name for _, name in answers) == [b"request_0", b"request_1"]


def test_health_is_answered_beside_a_busy_process(make_handler):
    handler = make_handler(1)

    async def both_ways():
        busy = asyncio.ensure_future(ask(handler, "/meet"))
        healthy = await asyncio.wait_for(ask(handler, "/health"), PATIENCE)
        assert not busy.done()
        both.wait(PATIENCE)
        await busy
        return healthy

    assert asyncio.run(both_ways()) == (200, b"health_0")


@pytest.mark.django_db(transaction=True)
def test_a_thread_that_has_answered_keeps_no_connection(make_handler, monkeypatch):
    monkeypatch.setitem(connections.databases["default"], "CONN_MAX_AGE", 0)  # as in the web service
    handler = make_handler(1)

    assert [run(handler, [target])[0] for target in ("/look", "/kept")] == [(200, b"True"), (200, b"False")]


def test_a_stream_is_sent_to_its_end(make_handler):
    assert run(make_handler(1), ["/pieces"]) == [(200, b"onetwo")]


def test_a_stream_whose_client_has_left_ends_and_is_closed(make_handler):
    closed.clear()

    async def leave():
        return await asyncio.wait_for(ask(make_handler(1), "/endless", after=asyncio.Event()), PATIENCE)

    status, body = asyncio.run(leave())

    assert (status, body[:8]) == (200, b"moremore")
    assert closed.is_set()


def test_a_stream_that_breaks_off_breaks_its_answer(make_handler):
    with pytest.raises(ValueError, match="gone"):
        run(make_handler(1), ["/breaks"])


def test_a_view_that_fails_is_an_answer(make_handler):
    ((status, _),) = run(make_handler(1), ["/fails"])

    assert status == 500


def test_nobody_is_answered_who_left_before_the_end_of_the_body(make_handler):
    sent = []

    async def leave():
        async def receive():
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        await make_handler(1)({"type": "http", "path": "/where"}, receive, send)

    asyncio.run(leave())

    assert sent == []
