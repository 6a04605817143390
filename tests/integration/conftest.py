"""Real servers: a fresh database and a fresh virtual host for each module."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.servers import free_port, fresh_database, fresh_vhost
from tests.integration.spine import Spine


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    """A database of this module's own on the full PostgreSQL."""
    with fresh_database() as url:
        yield url


@pytest.fixture(scope="module")
def broker_url() -> Iterator[str]:
    """A virtual host of this module's own on the real RabbitMQ."""
    with fresh_vhost() as url:
        yield url


@pytest.fixture(scope="module")
def spine(
    request: pytest.FixtureRequest,
    database_url: str,
    broker_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Spine]:
    """A prepared Attune with the module's `SETTINGS`, if it has some; nothing started yet."""
    folder: Path = tmp_path_factory.mktemp("spine")
    settings = getattr(request.module, "SETTINGS", {})
    made = Spine(database_url, broker_url, folder, free_port(), **settings)
    made.prepare()
    yield made
    made.drop()


@pytest.fixture
def running(spine: Spine) -> Spine:
    """The same with every service running, as an operator runs it."""
    spine.terminate(*spine.special)
    spine.start(*spine.missing())
    return spine


def vhost(spine: Spine) -> str:
    return urlsplit(spine.broker_url).path[1:]
