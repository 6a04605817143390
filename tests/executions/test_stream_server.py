"""Streams through the real server: outside Django's requests, so that idle ones cost next to nothing."""

import asyncio
import json
import threading
import time
import uuid

import httpx
import pytest
import uvicorn
from django.db import connection, connections

from attune_project.identity.tokens import issue_access
from attune_project.rest import sse
from attune_project.rest.handler import RequestHandler
from attune_project.rest.protocol import Http
from attune_project.rest.sse import streams_outside_requests
from executions.log_chunks import Piece, store
from executions.requesting import Wanted, request_executions
from tests.executions.lives import claim_one

pytestmark = pytest.mark.django_db(transaction=True)
STREAMS = 60


@pytest.fixture
def address(db, monkeypatch):
    monkeypatch.setitem(connections.databases["default"], "CONN_MAX_AGE", 0)  # as in the web service
    application = streams_outside_requests(RequestHandler(threads=4))
    server = uvicorn.Server(
        uvicorn.Config(
            application, port=0, http=Http, lifespan="off", log_level="error", timeout_graceful_shutdown=1
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    ends = time.monotonic() + 60
    while not server.started and time.monotonic() < ends:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(60)


@pytest.fixture
def bearer(administrator):
    return {"Authorization": f"Bearer {issue_access(administrator)}"}


@pytest.fixture
def make_one(make_action):
    action = make_action()
    return lambda: request_executions([Wanted(action, {}, uuid.uuid4())])[0]


def client_for(address, headers):
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=address, headers=headers, timeout=60, limits=limits)


async def events_of(response):
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def connections_in_use():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return cursor.fetchone()[0]


def test_many_idle_streams_hold_no_thread_and_no_connection_and_all_are_told(address, bearer, make_one):
    threads_before = threading.active_count()

    async def one(client, ready):
        async with client.stream("GET", "/api/v1/executions/stream") as response:
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert "x-request-id" in response.headers
            ready.release()
            return await anext(events_of(response))

    async def go():
        async with asyncio.timeout(120), client_for(address, bearer) as client:
            ready = asyncio.Semaphore(0)
            streams = [asyncio.create_task(one(client, ready)) for _ in range(STREAMS)]
            for _ in streams:
                await ready.acquire()
            # What took the requests in is let go of once they are idle.
            while threading.active_count() - threads_before >= STREAMS / 2:
                await asyncio.sleep(0.05)
            while await sse.read(connections_in_use) >= STREAMS / 2:
                await asyncio.sleep(0.05)
            row_id = await sse.read(make_one)
            return row_id, await asyncio.gather(*streams)

    row_id, told = asyncio.run(go())

    assert {event["entity_id"] for event in told} == {row_id}


def test_a_log_is_followed_while_it_is_written(address, bearer, make_one, worker):
    make_one()
    claimed = claim_one(worker)
    piece = Piece(claimed.id, claimed.token, 1, "stdout", 0, "one €\n".encode())
    store([piece])

    async def go():
        path = f"/api/v1/executions/{claimed.id}/logs/stdout/stream"
        async with (
            asyncio.timeout(60),
            client_for(address, bearer) as client,
            client.stream("GET", path, headers={"Last-Event-ID": "4"}) as response,
        ):
            events = events_of(response)
            first = await anext(events)
            await sse.read(store, [Piece(claimed.id, claimed.token, 1, "stdout", 8, b"two\n")])
            return first, await anext(events)

    assert asyncio.run(go()) == ("€\n", "two\n")


def test_a_session_is_enough(address, client, administrator, make_one):
    client.force_login(administrator)
    cookies = {"sessionid": client.cookies["sessionid"].value}

    async def go():
        async with (
            asyncio.timeout(60),
            httpx.AsyncClient(base_url=address, cookies=cookies) as browser,
            browser.stream("GET", "/api/v1/executions/stream") as response,
        ):
            row_id = await sse.read(make_one)
            return row_id, (await anext(events_of(response)))["entity_id"]

    row_id, told = asyncio.run(go())

    assert row_id == told


def test_without_credentials_there_is_no_stream(address):
    answer = httpx.get(f"{address}/api/v1/executions/stream", timeout=60)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="attune"'


def test_other_answers_go_through_unchanged(address, bearer):
    answer = httpx.get(f"{address}/api/v1/executions", headers=bearer, timeout=60)

    assert answer.json()["data"] == []
    assert int(answer.headers["content-length"]) == len(answer.content)
