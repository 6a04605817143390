"""A web server on loopback that answers as a test asks it to."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MEGABYTE = 1024 * 1024


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        getattr(self, f"on_{parts.path.strip('/')}")(query, body)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

    def answer(self, body: bytes = b"", status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def on_echo(self, query: dict[str, str], body: str) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = {"method": self.command, "path": self.path, "headers": headers, "body": body}
        self.answer(json.dumps(seen).encode(), Content_Type="application/json", X_Twice="one")

    def on_status(self, query: dict[str, str], body: str) -> None:
        self.answer(b"oh", int(query["code"]))

    def on_redirect(self, query: dict[str, str], body: str) -> None:
        self.answer(b"", int(query.get("code", "302")), Location=query["to"])

    def on_text(self, query: dict[str, str], body: str) -> None:
        self.answer(bytes.fromhex(query["hex"]), Content_Type=query.get("type", "text/plain"))

    def on_gzip(self, query: dict[str, str], body: str) -> None:
        self.answer(gzip.compress(b'{"a": 1}'), Content_Encoding="gzip")

    def on_bomb(self, query: dict[str, str], body: str) -> None:
        self.answer(gzip.compress(b"x" * 11 * MEGABYTE), Content_Encoding="gzip")

    def on_packed(self, query: dict[str, str], body: str) -> None:
        self.answer(b"junk", Content_Encoding=query["as"])

    def on_big(self, query: dict[str, str], body: str) -> None:
        self.answer(b"x" * (10 * MEGABYTE + int(query["more"])))

    def on_silence(self, query: dict[str, str], body: str) -> None:
        """Answer nothing, until the client hangs up."""
        self.rfile.read(1)

    def on_drip(self, query: dict[str, str], body: str) -> None:
        """Send a header that never ends, a byte at a time."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            self.wfile.write(b"x")
            time.sleep(0.1)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    def handle_error(self, *_args: object) -> None:
        """Clients of these tests hang up on purpose."""


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def loopback() -> Server:
    return Server(("127.0.0.1", 0), Handler)
