"""/health*: open, bare, quick, and never a 500."""

import pytest
from django.db import OperationalError, connection

from attune_project.console import broker_state, checks, health, readiness
from attune_project.console.bounded import Bounded
from attune_project.console.checks import Check


@pytest.fixture(autouse=True)
def _fresh_answers(monkeypatch):
    for name in ("missing", "worked_out"):
        getattr(health, name).forget()
    monkeypatch.setattr(broker_state, "watch", broker_state.Watch())


@pytest.fixture
def answers(monkeypatch):
    """Make the health routes see these checks (or this failure)."""

    def become(name, value):
        def work():
            if isinstance(value, Exception):
                raise value
            return value

        monkeypatch.setattr(health, name, Bounded(work, keep=0, patience=60))

    return become


@pytest.mark.parametrize("path", ["/health", "/health/live"])
def test_alive_needs_no_database(stranger, path):
    response = stranger.get(path)

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_a_bad_token_is_ignored(stranger):
    stranger.credentials(HTTP_AUTHORIZATION="Bearer nonsense")

    assert stranger.get("/health").status_code == 200


@pytest.mark.django_db
def test_ready_on_a_migrated_database(stranger, answers):
    answers("missing", readiness.missing_migrations())

    response = stranger.get("/health/ready")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_not_ready_without_a_database(stranger, answers):
    answers("missing", OperationalError("connection to 10.0.0.1 refused"))

    response = stranger.get("/health/ready")

    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "reason": "The database does not answer."}


def test_not_ready_when_the_database_hangs(stranger, monkeypatch, hang):
    monkeypatch.setattr(health, "missing", Bounded(hang, keep=0, patience=0.1))

    response = stranger.get("/health/ready")

    assert response.status_code == 503


def test_not_ready_before_migrations(stranger, answers):
    answers("missing", ["rules.0001_rules"])

    response = stranger.get("/health/ready")

    assert response.status_code == 503
    assert response.json()["reason"] == (
        "The database lacks 1 migrations (rules.0001_rules): run manage.py migrate."
    )


@pytest.mark.django_db
def test_a_missing_migration_is_named():
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'console'")

    missing = readiness.missing_migrations()

    assert [name.partition(".")[0] for name in missing] == ["console"]


def test_a_broker_that_is_away_leaves_web_ready(stranger, answers, settings):
    settings.BROKER_URL = "amqp://guest:guest@127.0.0.1:1//"
    answers("missing", [])

    assert stranger.get("/health/ready").status_code == 200


def test_detailed_when_all_is_well(stranger, answers):
    answers("worked_out", [Check("canary", True, "disabled"), Check("timers", True)])

    response = stranger.get("/health/detailed")

    assert (response.status_code, response.json()) == (
        200,
        {
            "status": "ok",
            "version": "0.1.0",
            "database": "connected",
            "broker": "connected",
            "checks": {"canary": {"status": "ok", "reason": "disabled"}, "timers": {"status": "ok"}},
        },
    )


def test_detailed_with_a_red_check(stranger, answers):
    answers("worked_out", [Check("timers", False, "Nobody ticks.")])

    response = stranger.get("/health/detailed")

    assert (response.status_code, response.json()["status"]) == (503, "degraded")
    assert response.json()["checks"] == {"timers": {"status": "red", "reason": "Nobody ticks."}}


def test_detailed_without_a_database(stranger, answers):
    answers("worked_out", OperationalError("gone"))

    response = stranger.get("/health/detailed")

    assert response.status_code == 503
    assert (response.json()["database"], response.json()["checks"]) == ("unreachable", {})


def test_detailed_without_a_broker(stranger, answers, settings):
    settings.BROKER_URL = "amqp://guest:guest@127.0.0.1:1//"
    answers("worked_out", [])

    response = stranger.get("/health/detailed")

    assert (response.status_code, response.json()["broker"]) == (503, "unreachable")


@pytest.mark.django_db
def test_a_check_that_breaks_is_red_and_alone(monkeypatch):
    def broken():
        raise LookupError("no such thing")

    monkeypatch.setattr(checks, "_checks", [("broken", broken), ("good", lambda: [Check("good", True)])])

    found = checks.work_out()

    assert [(one.name, one.ok) for one in found] == [("broken", False), ("good", True)]
