"""The lead: one beat has it, and loses it with its session."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice

import psycopg
import pytest
from django.db import connection

from attune_project.embedded.processes import wait_until
from sensors import lead as lead_module
from sensors.beat import LONGEST_SLEEP
from sensors.lead import IDLE, Lead

TEST_LOCK = 4711
TAKEOVER_SECONDS = 10
SHORT, NEVER = 2, 3600  # seconds of silence after which the database ends a lead

LEADER = f"""
import time, django
django.setup()
from django.conf import settings
settings.DATABASES["default"]["NAME"] = {{name!r}}
from sensors import lead
lead.SESSION = {{session!r}}
lead = lead.Lead({TEST_LOCK})
while True:
    print(lead.held(), flush=True)
    time.sleep(0.5)
"""


@pytest.fixture
def lead() -> Iterator[Callable[[], Lead]]:
    """Make leads of this test, and give them up at its end."""
    made: list[Lead] = []

    def make() -> Lead:
        made.append(Lead(TEST_LOCK))
        return made[-1]

    yield make
    for each in made:
        each.release()


def idle_after(seconds: int) -> str:
    """Return the options of a lead's session that may say nothing for some seconds."""
    given = f"idle_session_timeout={IDLE}s"
    assert given in lead_module.SESSION
    return lead_module.SESSION.replace(given, f"idle_session_timeout={seconds}s")


@pytest.fixture
def leader(db: None, request: pytest.FixtureRequest) -> Iterator["subprocess.Popen[str]"]:
    """Start another process that leads, whose session may be silent for as long as the test says."""
    code = LEADER.format(name=connection.settings_dict["NAME"], session=idle_after(request.param))
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"]}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout
    assert process.stdout.readline() == "True\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def takes_over(lead: Lead) -> bool:
    """Wait until a lead is held."""
    return wait_until(lead.held, seconds=90, pause=0.2)


def end_session_of(lead: Lead) -> None:
    """End the session of a lead from the server's side."""
    session = lead._connection
    assert session
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [session.connection.info.backend_pid])


@pytest.mark.django_db
def test_one_of_two_leads(lead: Callable[[], Lead]) -> None:
    first, second = lead(), lead()

    held = [first.held(), second.held(), first.held(), second.held()]

    assert held == [True, False, True, False]


@pytest.mark.django_db
def test_a_released_lead_is_free(lead: Callable[[], Lead]) -> None:
    first, second = lead(), lead()
    assert first.held()

    first.release()

    assert second.held()
    assert not first.held()


@pytest.mark.django_db
def test_a_lost_session_is_a_lost_lead(lead: Callable[[], Lead]) -> None:
    first, second = lead(), lead()
    assert first.held()

    end_session_of(first)

    assert takes_over(second)
    assert not first.held()
    assert not first.held()


def test_silence_and_a_look_are_shorter_than_the_promised_takeover() -> None:
    assert IDLE + LONGEST_SLEEP < TAKEOVER_SECONDS


@pytest.mark.django_db
def test_the_database_itself_ends_a_silent_lead(
    lead: Callable[[], Lead], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = lead(), lead()
    with monkeypatch.context() as quicker:
        quicker.setattr(lead_module, "SESSION", idle_after(SHORT))
        assert first.held()

    assert takes_over(second)
    assert not first.held()


@pytest.mark.parametrize("leader", [NEVER], indirect=True)
def test_a_killed_leader_is_succeeded(leader: "subprocess.Popen[str]", lead: Callable[[], Lead]) -> None:
    follower = lead()
    assert not follower.held()

    leader.kill()

    assert takes_over(follower)


@pytest.mark.parametrize("leader", [SHORT], indirect=True)
def test_a_frozen_leader_is_succeeded_and_follows_when_it_wakes(
    leader: "subprocess.Popen[str]", lead: Callable[[], Lead]
) -> None:
    follower = lead()
    assert not follower.held()

    leader.send_signal(signal.SIGSTOP)
    assert takes_over(follower)
    leader.send_signal(signal.SIGCONT)

    assert leader.stdout
    assert "False\n" in islice(leader.stdout, 100)
    assert follower.held()


@pytest.mark.django_db
def test_no_database_is_no_lead(lead: Callable[[], Lead], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")

    assert not lead().held()


@pytest.mark.django_db
def test_the_session_tells_the_database_to_end_it_when_idle(lead: Callable[[], Lead]) -> None:
    mine = lead()
    assert mine.held()
    session = mine._connection
    assert session

    raw: psycopg.Connection = session.connection
    found = raw.execute("SHOW idle_session_timeout").fetchone()

    assert found == (f"{IDLE}s",)
