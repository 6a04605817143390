"""One LISTEN connection per web process: it says which executions to look at again."""

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import psycopg
import structlog
from django.db import connections

from executions.waking import CHANNEL, LOG_CHANNEL

log = structlog.get_logger(__name__)
CHECK = 10.0  # seconds without a word after which the connection is tried
LONGEST_PAUSE = 5.0

Heard = Callable[[str, list[int]], None]


class Listener:
    """Hears the hints of the other services. `listening` says whether it does right now."""

    def __init__(self, heard: Heard) -> None:
        self.listening = False
        self._heard = heard

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is made anew."""
        pause = 0.1
        while True:
            try:
                async with await _connect() as connection:
                    pause = 0.1
                    await self._hear(connection)
            except (psycopg.Error, OSError) as problem:
                log.warning("not listening for changes", error=f"{type(problem).__name__}: {problem}")
            finally:
                self.listening = False
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 (not all at once)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _hear(self, connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.execute(f"LISTEN {CHANNEL}")
        await connection.execute(f"LISTEN {LOG_CHANNEL}")
        self.listening = True
        while True:
            async with aclosing(connection.notifies(timeout=CHECK)) as notices:
                async for notice in notices:
                    self._heard(notice.channel, _ids(notice.payload))
            await connection.execute("SELECT 1")


def _ids(payload: str) -> list[int]:
    return [int(word) for word in payload.split(",") if word.isdigit()]


async def _connect() -> psycopg.AsyncConnection[Any]:
    """Connect as Django does, without what only its own connections take."""
    parameters = connections["default"].get_connection_params()
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    return await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
