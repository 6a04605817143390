"""Requests over connections that are kept open."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from benchmarks.http_load import load, request


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, bytes, str | None]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, body, self.headers["Authorization"]))
        answer = b"x" * 300_000
        self.send_response(201 if self.path == "/made" else 404)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Answering.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


def test_as_many_requests_as_asked_for_are_sent_over_all_connections(port: int) -> None:
    made = load(port, lambda: request("POST", "/made", b"{}", "secret"), connections=3, count=10)

    assert made.statuses == {201: 10}
    assert len(made.took) == 10
    assert Answering.seen == [("/made", b"{}", "Bearer secret")] * 10


def test_the_whole_answer_is_waited_for(port: int) -> None:
    assert load(port, lambda: request("POST", "/made"), count=1).last == b"x" * 300_000


def test_answers_are_counted_by_status(port: int) -> None:
    assert load(port, lambda: request("POST", "/else"), connections=2, count=4).statuses == {404: 4}


def test_percentiles_are_of_each_request(port: int) -> None:
    made = load(port, lambda: request("POST", "/made"), count=3)
    made.took = [float(n) for n in range(1, 101)]

    assert made.percentiles() == {"p50_ms": 51.0, "p95_ms": 96.0, "p99_ms": 100.0, "max_ms": 100.0}
