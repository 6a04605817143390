"""HTTP as clients send it, well and badly, over real sockets."""

import asyncio

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from attune_project.rest.protocol import LONGEST_HEAD, Http

PATIENCE = 60
GET = b"GET /here HTTP/1.1\r\nHost: a\r\n"
BYE = b"Connection: close\r\n\r\n"


async def echo(scope, receive, send):
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    told = b"%s %d" % (scope["raw_path"], len(body))
    length = (b"content-length", b"%d" % len(told))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": told})


def talk(*pieces):
    """Send the pieces one after the other; return all that is answered until the connection ends."""

    async def conversation():
        config, state = Config(echo, http=Http, lifespan="off", log_config=None), ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Http(config, state, {}), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        answer = asyncio.ensure_future(reader.read())
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass  # it has been refused already
        found = await asyncio.wait_for(answer, PATIENCE)
        writer.close()
        server.close()
        return found

    return asyncio.run(conversation())


def status(answer):
    return int(answer.split(b" ", 2)[1])


def test_a_request_in_pieces():
    answer = talk(b"POST /here HT", b"TP/1.1\r\nHost: a\r\nContent-Le", b"ngth: 4\r\n" + BYE + b"ab", b"cd")

    assert status(answer) == 200
    assert answer.endswith(b"/here 4")


def test_one_connection_takes_one_request_after_the_other():
    more = b"Content-Length: %d\r\n\r\n" % LONGEST_HEAD
    answer = talk(GET + more + b"x" * LONGEST_HEAD + GET + b"\r\n" + GET, BYE)

    assert answer.count(b"200 OK") == 3


@pytest.mark.parametrize(
    "pieces",
    [
        [b"no http at all\r\n\r\n"],
        [b"GET / HTTP/1.1\r\n" + BYE],
        [GET + b"Host: b\r\n" + BYE],
        [GET + b"a b: c\r\n" + BYE],
        [GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n" + BYE],
        [GET + b"Content-Length: x\r\n" + BYE],
    ],
)
def test_what_is_not_http_is_400(pieces):
    assert status(talk(*pieces)) == 400


@pytest.mark.parametrize(
    "pieces",
    [
        [GET + b"X: " + b"x" * LONGEST_HEAD + b"\r\n" + BYE],
        [GET, b"X: ", *[b"x" * 20_000] * 20],
        [b"GET /", *[b"x" * 20_000] * 20],
        [GET, *[b"X: %s\r\n" % (b"x" * 1000)] * 400],
    ],
)
def test_headers_without_end_are_400(pieces):
    assert status(talk(*pieces)) == 400


def test_headers_up_to_the_limit_are_read():
    assert status(talk(GET + b"X: " + b"x" * (LONGEST_HEAD - 100) + b"\r\n" + BYE)) == 200
