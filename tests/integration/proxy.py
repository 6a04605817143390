"""A server that can be taken away, or gets another address: a TCP proxy in a thread, before the real one."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Forwards to a server until it is told to refuse (as one that is down) or to hang (as one behind a
    network that swallows packets)."""

    def __init__(self, url: str, address: str = "127.0.0.1") -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "localhost", parts.port or 5672)
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._address = address
        self.port = 0
        self.restore()
        credentials = (parts.netloc.rpartition("@")[0] + "@").removeprefix("@")
        self.url = urlunsplit(parts._replace(netloc=f"{credentials}{address}:{self.port}"))

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        self._do(self._cut())

    def hang(self) -> None:
        """Keep every connection and take new ones, but let nothing through."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def restore(self) -> None:
        """Let everything through again."""
        self._do(self._restore())

    def close(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _restore(self) -> None:
        self._flows.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self._address, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _cut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._flows.set()  # those that hang see the end
        await asyncio.sleep(0.1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection(*self._target)
        except OSError:  # the real one is away
            writer.transport.abort()
            return
        self._writers |= {writer, forth}
        await asyncio.gather(self._pump(reader, forth), self._pump(back, writer))
        self._writers -= {writer, forth}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()
