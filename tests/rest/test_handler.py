"""Requests are answered by threads of the handler's own, each from its first line to its last."""

import asyncio
import json
import threading

import pytest
from django.db import OperationalError, connection, connections
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from prometheus_client import REGISTRY
from psycopg_pool import PoolTimeout
from rest_framework.views import APIView

from attune_project.rest import handler as handling
from attune_project.rest.handler import LARGEST_TOGETHER, RequestHandler

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


def lost():
    problem = OperationalError("no connection")
    problem.__cause__ = PoolTimeout()
    return problem


class WithoutDatabase(APIView):
    """Answers, once another request wants to meet it, that no connection came."""

    authentication_classes = permission_classes = ()

    def get(self, request):
        both.wait(PATIENCE)
        raise lost()


class Hall:
    """A door for `/body`: it greets who says "in", and leaves the others to the view."""

    def __init__(self, problem=None):
        self.problem = problem
        self.seen = []

    def opens(self, scope):
        return scope["path"] == "/body"

    def take(self, requests):
        self.seen += requests
        if self.problem:
            raise self.problem
        return [HttpResponse("welcome") if request.read() == b"in" else None for request in requests]


views = (where, body, meet, look, kept, pieces, endless, breaks, fails)
urlpatterns = [path(view.__name__, view) for view in views] + [path("health", where)]
urlpatterns += [path("without_database", WithoutDatabase.as_view())]


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
    """Return the status and the body of the answer to a request."""
    status, _, body = await ask_all(handler, target, *sent, after=after)
    return status, body


async def ask_all(handler, target, *sent, after=None, host=b"localhost"):
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in sent[:-1]]
    messages += [{"type": "http.request", "body": sent[-1] if sent else b"", "more_body": False}]
    answered = []
    scope = {"type": "http", "method": "GET", "path": target, "query_string": b"", "headers": []}
    scope["headers"] = [(b"host", host)]

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
    headers = {name.decode(): value.decode() for name, value in answered[0]["headers"]}
    return answered[0]["status"], headers, b"".join(message.get("body", b"") for message in answered)


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


def test_whom_the_door_takes_is_answered_and_whom_it_leaves_by_the_view(make_handler):
    answers = run(make_handler(1, door=Hall()), ["/body", b"in"], ["/body", b"out"], ["/where"])

    assert answers == [(200, b"welcome"), (200, b"out"), (200, b"request_0")]


def test_an_answer_of_the_door_goes_through_the_middleware(make_handler):
    hall = Hall()

    status, headers, _ = asyncio.run(ask_all(make_handler(1, door=hall), "/body", b"in"))

    assert (status, headers["X-Frame-Options"], headers["Content-Length"]) == (200, "DENY", "7")
    assert headers["X-Request-Id"] == str(hall.seen[0].trace_id)


def test_the_metrics_of_a_view_count_what_its_door_took(make_handler):
    labels = {"view": f"{__name__}.body", "method": "GET"}
    name = "django_http_responses_total_by_status_view_method_total"
    before = REGISTRY.get_sample_value(name, {**labels, "status": "200"}) or 0

    run(make_handler(1, door=Hall()), ["/body", b"in"])

    assert REGISTRY.get_sample_value(name, {**labels, "status": "200"}) == before + 1


@pytest.mark.parametrize(
    ("change", "sent", "status"),
    [({}, b"x" * (LARGEST_TOGETHER + 1), 200), ({"host": b"elsewhere"}, b"in", 400)],
    ids=["a large body", "a foreign host"],
)
def test_what_is_not_for_the_door_never_comes_to_it(make_handler, change, sent, status):
    hall = Hall()

    answer = asyncio.run(ask_all(make_handler(1, door=hall), "/body", sent, **change))

    assert (answer[0], hall.seen) == (status, [])


def test_nothing_is_taken_that_is_to_come_by_https(make_handler, settings):
    settings.SECURE_SSL_REDIRECT = True
    hall = Hall()

    status, headers, _ = asyncio.run(ask_all(make_handler(1, door=hall), "/body", b"in"))

    assert (status, headers["Location"], hall.seen) == (301, "https://localhost/body", [])


@pytest.mark.parametrize(("problem", "status"), [(LookupError("here"), 500), (lost(), 503)])
def test_a_door_that_fails_is_an_answer(make_handler, problem, status):
    assert run(make_handler(1, door=Hall(problem)), ["/body", b"in"])[0][0] == status


def test_when_the_database_is_away_who_waits_is_told_at_once(make_handler):
    """With the one thread busy, each of them would else wait in turn for a connection that doesn't come."""
    handler = make_handler(1)

    async def crowd():
        asked = [asyncio.ensure_future(ask_all(handler, "/without_database")) for _ in range(4)]
        await asyncio.sleep(0)  # all of them are there
        await asyncio.to_thread(both.wait, PATIENCE)
        return await asyncio.wait_for(asyncio.gather(*asked), PATIENCE)

    answers = asyncio.run(crowd())

    assert [(status, headers["Retry-After"]) for status, headers, _ in answers] == [(503, "1")] * 4
    assert {json.loads(body)["code"] for _, _, body in answers} == {"UNAVAILABLE"}
    assert all(headers["X-Request-Id"] for _, headers, _ in answers)


def test_a_crowd_is_refused_before_it_fills_the_memory(make_handler, monkeypatch):
    monkeypatch.setattr(handling, "MOST_WAITING", 0)
    handler = make_handler(1)

    async def second():
        busy = asyncio.ensure_future(ask(handler, "/meet"))
        await asyncio.sleep(0)
        refused = await asyncio.wait_for(ask_all(handler, "/where"), PATIENCE)
        await asyncio.to_thread(both.wait, PATIENCE)
        return refused, await busy

    (status, headers, _), busy = asyncio.run(second())

    assert (status, headers["Retry-After"], busy[0]) == (503, "1", 200)
