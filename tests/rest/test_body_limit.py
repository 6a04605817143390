import asyncio

import pytest

from attune_project.rest.body_limit import limit_bodies


async def read_all(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


def status_is_traced(start):
    return start["status"] == 200 or b"x-request-id" in dict(start["headers"])


def status_of(chunks, headers=()):
    """Send the chunks through a limit of ten bytes; return the status and how many chunks were taken."""
    sent, left = [], list(chunks)

    async def receive():
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": list(headers)}
    asyncio.run(limit_bodies(read_all, 10)(scope, receive, send))
    assert status_is_traced(sent[0])
    return sent[0]["status"], len(chunks) - len(left)


@pytest.mark.parametrize(("chunks", "status"), [([b"12345", b"67890"], 200), ([b"12345", b"678901"], 413)])
def test_a_body_is_counted_as_it_comes(chunks, status):
    assert status_of(chunks)[0] == status


def test_an_announced_length_is_enough():
    assert status_of([b"1"], [(b"content-length", b"11")])[0] == 413


def test_a_client_that_still_sends_is_heard_out():
    assert status_of([b"12345678901"] + [b"x"] * 50) == (413, 51)


def test_some_requests_may_have_a_longer_body():
    async def run(path, size):
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"x" * size, "more_body": False}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "headers": [], "path": path}
        larger = limit_bodies(read_all, 10, lambda scope: 20 if scope["path"] == "/upload" else 0)
        await larger(scope, receive, send)
        return sent[0]["status"]

    found = [asyncio.run(run(path, size)) for path, size in (("/upload", 20), ("/upload", 21), ("/", 11))]
    assert found == [200, 413, 413]
