"""Fixtures of every test."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from rest_framework.test import APIClient

from attune_project.identity.models import Identity, PermissionAssignment, PermissionSet
from attune_project.identity.tokens import issue_access
from attune_project.messaging import publisher
from attune_project.messaging.fake import FakePublisher
from executions.worker.logs import flusher

# A machine that has much else to do is slow, and so is whatever draws examples on it.
settings.register_profile("attune", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("attune")


@pytest.fixture
def administrator(db: None) -> Identity:
    return Identity.objects.create_superuser("root", "the password")


@pytest.fixture
def nobody(db: None) -> Identity:
    """An identity without a permission set."""
    return Identity.objects.create_user("nobody", "the password")


@pytest.fixture
def identity_with(db: None) -> Callable[..., Identity]:
    """Make an identity with these grants: `identity_with({"resource": ..., "actions": [...]})`."""

    def make(*grants: dict, login: str = "someone") -> Identity:
        identity = Identity.objects.create_user(login, "the password")
        permset = PermissionSet.objects.create(ref=f"test.{login}", grants=list(grants))
        PermissionAssignment.objects.create(identity=identity, permset=permset)
        return identity

    return make


@pytest.fixture
def client_of() -> Callable[[Identity], APIClient]:
    """Return a client that sends the identity's bearer token."""

    def make(identity: Identity) -> APIClient:
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_access(identity)}")
        return client

    return make


@pytest.fixture
def api(administrator: Identity, client_of: Callable[[Identity], APIClient]) -> APIClient:
    """A client of the first administrator."""
    return client_of(administrator)


@pytest.fixture
def stranger() -> APIClient:
    """A client without credentials."""
    return APIClient(raise_request_exception=False)


@pytest.fixture(autouse=True)
def fake_publisher() -> Iterator[FakePublisher]:
    """No unit test talks to a broker: what is rung is kept here."""
    fake = FakePublisher()
    before = publisher.use(fake)
    yield fake
    publisher.use(before)


@pytest.fixture(autouse=True)
def _no_log_flusher_is_left() -> Iterator[None]:
    """Its database connection would keep the test database from being dropped."""
    yield
    flusher.close()


@pytest.fixture
def hang() -> Iterator[Callable[..., None]]:
    """A call that hangs until the test has ended."""
    ended = threading.Event()

    def wait(*_: Any, **__: Any) -> None:
        ended.wait()

    yield wait
    ended.set()


@pytest.fixture
def worker_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Action code runs in workers only."""
    monkeypatch.setenv("ATTUNE_SERVICE", "worker")


NEEDS = {
    "rabbitmq": "ATTUNE_TEST_BROKER_URL",
    "postgres": "ATTUNE_TEST_DATABASE_URL",
}


def missing_services(item: pytest.Item) -> list[str]:
    return [
        variable for mark, variable in NEEDS.items() if mark in item.keywords and not os.environ.get(variable)
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        missing = missing_services(item)
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"SERVICE MISSING: {' and '.join(missing)} not given"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count loudly what was not tested for want of a service."""
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if "SERVICE MISSING" in str(r.longrepr)]
    if skipped:
        terminalreporter.write_sep(
            "!", f"{len(skipped)} tests SKIPPED for want of RabbitMQ or PostgreSQL", red=True
        )
        terminalreporter.write_line("Give ATTUNE_TEST_BROKER_URL and ATTUNE_TEST_DATABASE_URL to run them.")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing may be skipped for a missing service."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("CI") and any("SERVICE MISSING" in str(r.longrepr) for r in skipped):
        session.exitstatus = 1
