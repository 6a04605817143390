"""A TCP proxy that does to connections what networks do: cuts, delays, swallows, half-closes.

It stands before a real server (a database, a broker), on an address of its own that stays the same while
the fault changes. A fault holds for connections that are open and for those that come; `calm` ends it.
Each direction can have its own: UP is from the client to the server, DOWN the answers.

    with ChaosProxy(database_url) as proxy:
        proxy.swallow(DOWN)      # requests arrive, answers don't: an ambiguous commit
        proxy.calm()
"""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

UP, DOWN = "up", "down"
BOTH = (UP, DOWN)
CHUNK = 65_536
PATIENCE = 30.0


@dataclass
class Fault:
    """What a direction suffers. `left`: so many more bytes pass before the connection is reset."""

    delay: float = 0.0  # seconds, of each chunk
    jitter: float = 0.0  # seconds, at most so much more
    swallows: bool = False  # chunks are read and thrown away, as if they were on their way
    holds: bool = False  # chunks are kept, and go on when it is calm again
    left: int | None = None
    closes: bool = False  # the receiver is told that nothing more comes (FIN); the other way stays open


@dataclass(eq=False)
class Link:
    """One connection: the two sockets, and how many bytes went each way."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    passed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BOTH, 0))

    def reset(self) -> None:
        """End both sides at once with RST."""
        for writer in (self.client, self.server):
            raw = writer.get_extra_info("socket")
            if raw is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class ChaosProxy:
    """See above. Every verb may be called from any thread, and holds when it returns."""

    def __init__(self, url: str, *, address: str = "127.0.0.1", seed: int = 0) -> None:
        parts = urlsplit(url)
        default = 5672 if parts.scheme.startswith("amqp") else 5432
        self._target = (parts.hostname or "localhost", parts.port or default)
        self._address, self.port = address, 0
        self._random = random.Random(seed)
        self._faults = {way: Fault() for way in BOTH}
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None
        self.accepted = 0
        self.refused = 0
        self._loop = asyncio.new_event_loop()
        self._calm = asyncio.Event()
        self._calm.set()
        self._refuses = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="chaos", daemon=True)
        self._thread.start()
        self._do(self._listen())
        login = (parts.netloc.rpartition("@")[0] + "@").removeprefix("@")
        self.url = urlunsplit(parts._replace(netloc=f"{login}{address}:{self.port}"))

    # -- faults --------------------------------------------------------------------------------

    def cut(self) -> None:
        """Reset every connection; new ones are taken."""
        self._do(self._reset_all())

    def refuse(self) -> None:
        """Reset every connection, and refuse new ones until it is calm."""
        self._do(self._refuse())

    def delay(self, seconds: float, jitter: float = 0.0, ways: Iterable[str] = BOTH) -> None:
        self._change(ways, delay=seconds, jitter=jitter)

    def swallow(self, *ways: str) -> None:
        """Throw away what comes, and say nothing: a connection that is half open. It never recovers, since
        its stream has a hole: `calm` resets those that lost something."""
        self._change(ways or BOTH, swallows=True)

    def hold(self, *ways: str) -> None:
        """Keep what comes until it is calm: a network that is stuck for a while."""
        self._change(ways or BOTH, holds=True)

    def half_close(self, *ways: str) -> None:
        """Tell the receivers of these ways that nothing more comes; the other way stays open."""
        self._change(ways or (DOWN,), closes=True)
        self._do(self._half_close(tuple(ways or (DOWN,))))

    def cut_after(self, count: int, way: str = UP) -> None:
        """Let so many more bytes pass on this way, all connections together, then reset the one at it."""
        self._change((way,), left=count)

    def calm(self) -> None:
        """End every fault. What was held goes on; connections that lost bytes are reset."""
        self._do(self._end_faults())

    # -- what is seen --------------------------------------------------------------------------

    @property
    def links(self) -> int:
        """Return how many connections are open."""
        return len(self._links)

    def close(self) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- inside the loop -----------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def _change(self, ways: Iterable[str], **values: Any) -> None:
        async def change() -> None:
            for way in ways:
                for name, value in values.items():
                    setattr(self._faults[way], name, value)
            if any(fault.holds for fault in self._faults.values()):
                self._calm.clear()

        self._do(change())

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._take, self._address, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        self._refuses = True
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self._reset_all()

    async def _reset_all(self) -> None:
        for link in list(self._links):
            link.reset()
        self._links.clear()
        await asyncio.sleep(0)

    async def _half_close(self, ways: tuple[str, ...]) -> None:
        for link in list(self._links):
            for way in ways:
                writer = link.server if way == UP else link.client
                if not writer.is_closing() and writer.can_write_eof():
                    writer.write_eof()

    async def _end_faults(self) -> None:
        broken = any(fault.swallows or fault.closes for fault in self._faults.values())
        for way in BOTH:
            self._faults[way] = Fault()
        self._refuses = False
        self._calm.set()
        if broken:
            await self._reset_all()
        await self._listen()

    async def _stop(self) -> None:
        await self._refuse()
        self._calm.set()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, client)
        except asyncio.CancelledError:  # the proxy closes
            client.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self._refuses:
            self.refused += 1
            client.transport.abort()
            return
        try:
            back, server = await asyncio.open_connection(*self._target)
        except OSError:  # the real one is away
            self.refused += 1
            client.transport.abort()
            return
        link = Link(client, server)
        self.accepted += 1
        self._links.add(link)
        try:
            await asyncio.gather(self._pump(UP, reader, server, link), self._pump(DOWN, back, client, link))
        finally:
            self._links.discard(link)
            link.client.close()
            link.server.close()

    async def _pump(
        self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link
    ) -> None:
        """Pass one way's bytes on until its end; an end in order is passed on as one."""
        try:
            while data := await reader.read(CHUNK):
                await self._suffer(way, data, writer, link)
            if not writer.is_closing() and writer.can_write_eof():
                writer.write_eof()
        except (OSError, RuntimeError):  # reset, by either side or by us
            link.reset()

    async def _suffer(self, way: str, data: bytes, writer: asyncio.StreamWriter, link: Link) -> None:
        fault = self._faults[way]
        if fault.delay or fault.jitter:
            await asyncio.sleep(fault.delay + self._random.uniform(0, fault.jitter))
        while self._faults[way].holds:
            await self._calm.wait()
        fault = self._faults[way]
        if fault.swallows or fault.closes:
            return
        if fault.left is not None:
            data, cut = data[: fault.left], len(data) >= fault.left
            fault.left -= len(data)
            if cut:
                writer.write(data)
                await writer.drain()
                fault.left = None
                link.reset()
                return
        link.passed[way] += len(data)
        writer.write(data)
        await writer.drain()
