"""Requests over a few connections that are kept open, each sent when the one before was answered."""

import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.rows import named

HEADER_END = b"\r\n\r\n"


@dataclass
class Loaded:
    """What came of it: answers by status, ms of each, seconds of all."""

    statuses: Counter[int] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)
    seconds: float = 0.0
    last: bytes = b""  # the body of some answer

    @property
    def per_second(self) -> float:
        return len(self.took) / self.seconds

    def percentiles(self) -> dict[str, float]:
        ordered = sorted(self.took)
        return named(
            ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.95, 0.99, 1)
        )


class Client:
    """One connection: it sends a request, and takes the answer when it has come."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._sent_at = 0.0

    def send(self, request: bytes) -> None:
        self._sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self, loaded: Loaded) -> bool:
        """Read what is there; note the answer and return True when it is whole."""
        part = self.socket.recv(256 * 1024)
        if not part:
            raise ConnectionError(f"the server closed the connection after {self._received[:500]!r}")
        self._received += part
        head, end, body = self._received.partition(HEADER_END)
        if not end or len(body) < _length(head):
            return False
        loaded.took.append((time.perf_counter() - self._sent_at) * 1000)
        loaded.statuses[int(head.split(b" ", 2)[1])] += 1
        loaded.last, self._received = body, b""
        return True


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise ValueError(f"an answer without a length: {head!r}")


def request(method: str, path: str, body: bytes = b"", token: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += ["Accept: application/json"]
    lines += ["Content-Type: application/json"] if body else []
    lines += [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join(lines).encode() + HEADER_END + body


def load(
    port: int,
    make: Callable[[], bytes],
    *,
    connections: int = 1,
    seconds: float = 0,
    count: int = 0,
) -> Loaded:
    """Send requests for some seconds, or as many as `count`, over each connection one at a time."""
    loaded = Loaded()
    clients = [Client(port) for _ in range(connections)]
    began = time.perf_counter()
    sent = 0

    def more() -> bool:
        return sent < count if count else time.perf_counter() - began < seconds

    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.send(make())
            sent += 1
        under_way = len(clients)
        while under_way:
            for key, _ in selector.select(timeout=30) or _silence():
                if key.data.receive(loaded):
                    if more():
                        key.data.send(make())
                        sent += 1
                    else:
                        under_way -= 1
    loaded.seconds = time.perf_counter() - began
    for client in clients:
        client.socket.close()
    return loaded


def _silence() -> Any:
    raise TimeoutError("no answer within 30 s")
