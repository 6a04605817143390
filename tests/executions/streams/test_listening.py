"""The one LISTEN connection of a web process."""

import asyncio

import pytest
from django.db import connection

from attune_project.rest import sse
from executions import waking
from executions.streams.listening import Listener

pytestmark = pytest.mark.django_db(transaction=True)
LISTENERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
)


def cut():
    with connection.cursor() as cursor:
        cursor.execute(LISTENERS)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_it_hears_which_executions_changed():
    heard = []

    async def go():
        listener = Listener(lambda channel, ids: heard.append((channel, ids)))
        task = asyncio.create_task(listener.run())
        await until(lambda: listener.listening)
        await sse.read(waking.wake_streams, [3, 5])
        await until(lambda: heard)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return listener.listening

    still = asyncio.run(go())

    assert heard == [("attune_execution", [3, 5])]
    assert not still


def test_a_lost_connection_is_made_anew():
    heard = []

    async def go():
        listener = Listener(lambda channel, ids: heard.extend(ids))
        task = asyncio.create_task(listener.run())
        await until(lambda: listener.listening)
        await sse.read(cut)
        await until(lambda: not listener.listening)
        await until(lambda: listener.listening)
        await sse.read(waking.wake_streams, [7])
        await until(lambda: heard)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())

    assert heard == [7]
