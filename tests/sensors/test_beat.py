"""Beat: whoever leads ticks, and nothing stops it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from attune_project.celery import app
from attune_project.messaging.models import Step
from sensors import periodic, timers
from sensors.beat import AttuneScheduler
from sensors.lead import Lead
from sensors.models import Event, Timer, TimerSlot, Trigger
from tests.sensors.conftest import MakeRule

pytestmark = pytest.mark.django_db(transaction=True)

INTERVAL = "core.intervaltimer"


@pytest.fixture
def make_scheduler(rung: Any) -> Iterator[Callable[[], AttuneScheduler]]:
    made: list[AttuneScheduler] = []

    def make() -> AttuneScheduler:
        made.append(AttuneScheduler(app=app))
        return made[-1]

    yield make
    for scheduler in made:
        scheduler.close()


@pytest.fixture
def scheduler(make_scheduler: Callable[[], AttuneScheduler]) -> AttuneScheduler:
    return make_scheduler()


@pytest.fixture
def due_timer(make_rule: MakeRule) -> Timer:
    """Make a timer of a minute whose first slot was a second ago."""
    rule = make_rule()
    timers.arm(rule.pk, INTERVAL, {"interval": 60}, now=timezone.now() - timedelta(seconds=61))
    return Timer.objects.get()


@pytest.fixture
def due_entry() -> PeriodicTask:
    """Make an operator's entry that emits an event each hour and is due."""
    Trigger.objects.create(ref="a.b", label="x")
    every = IntervalSchedule.objects.create(every=1, period="hours")
    return PeriodicTask.objects.create(
        name="mine",
        task=periodic.EMIT_EVENT,
        kwargs='{"trigger_ref": "a.b", "payload": {"x": 1}}',
        interval=every,
        last_run_at=timezone.now() - timedelta(hours=2),
    )


def forget_slots(timer: Timer) -> None:
    """Make a timer due again as if its slots had not been looked at."""
    TimerSlot.objects.all().delete()
    Timer.objects.filter(pk=timer.pk).update(next_fire_at=timer.next_fire_at)


def test_the_leader_fires_timers(scheduler: AttuneScheduler, due_timer: Timer) -> None:
    pause = scheduler.tick()

    assert TimerSlot.objects.get().timer == due_timer
    assert 0 < pause <= 1
    assert Step.objects.get(name="timers").polled_at


def test_a_follower_fires_nothing(scheduler: AttuneScheduler, due_timer: Timer) -> None:
    leader = Lead()
    assert leader.held()

    pause = scheduler.tick()

    assert (pause, TimerSlot.objects.count()) == (1.0, 0)
    leader.release()


def test_a_follower_takes_over(make_scheduler: Callable[[], AttuneScheduler], due_timer: Timer) -> None:
    first, second = make_scheduler(), make_scheduler()
    first.tick()
    second.tick()
    forget_slots(due_timer)

    first.lead.release()
    second.tick()

    assert (first.lead.held(), second.lead.held(), TimerSlot.objects.count()) == (False, True, 1)


def test_it_wakes_for_the_next_timer(scheduler: AttuneScheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "seconds_until_next", lambda: 0.3)

    assert scheduler.tick() == 0.3


def test_an_entry_emits_its_event_once(scheduler: AttuneScheduler, due_entry: PeriodicTask) -> None:
    for _ in range(3):
        scheduler.tick()

    event = Event.objects.get()
    due_entry.refresh_from_db()
    assert (event.trigger_ref, event.payload) == ("a.b", {"x": 1})
    assert due_entry.total_run_count == 1
    assert due_entry.last_run_at is not None
    assert timezone.now() - due_entry.last_run_at < timedelta(hours=1)


def test_the_first_entry_of_all_is_noticed_at_once(
    scheduler: AttuneScheduler, request: pytest.FixtureRequest
) -> None:
    scheduler.tick()

    request.getfixturevalue("due_entry")
    for _ in range(3):
        scheduler.tick()

    assert Event.objects.count() == 1


def test_a_run_that_another_beat_noted_is_not_repeated(
    scheduler: AttuneScheduler, due_entry: PeriodicTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "fire_due", lambda **_: noted_elsewhere())

    def noted_elsewhere() -> int:
        assert scheduler.schedule
        PeriodicTask.objects.update(total_run_count=1)
        return 0

    scheduler.tick()

    assert Event.objects.count() == 0


def test_a_beat_that_leads_again_reads_what_others_ran(
    make_scheduler: Callable[[], AttuneScheduler], due_entry: PeriodicTask
) -> None:
    first, second = make_scheduler(), make_scheduler()
    for each in (first, second, first):
        each.tick()
        each.tick()
        each.lead.release()

    assert Event.objects.count() == 1


def test_an_event_that_is_refused_counts_as_run(scheduler: AttuneScheduler, due_entry: PeriodicTask) -> None:
    Trigger.objects.all().delete()

    for _ in range(3):
        scheduler.tick()

    due_entry.refresh_from_db()
    assert due_entry.total_run_count == 1


def test_a_broken_entry_is_disabled_and_holds_up_nobody(
    scheduler: AttuneScheduler, due_entry: PeriodicTask
) -> None:
    broken = PeriodicTask.objects.create(
        name="broken", task="operators.clean", queue="q", interval=due_entry.interval
    )
    PeriodicTask.objects.filter(pk=broken.pk).update(args="{", queue=None)

    scheduler.tick()

    broken.refresh_from_db()
    assert not broken.enabled
    assert Event.objects.count() == 1


def test_a_failed_run_is_tried_again(
    scheduler: AttuneScheduler, due_entry: PeriodicTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(periodic, "emit_event", fail)
        assert scheduler.tick() == 0.25
    due_entry.refresh_from_db()
    assert due_entry.total_run_count == 0

    scheduler.tick()

    assert Event.objects.count() == 1


def test_a_broker_that_hangs_does_not_stop_timers(
    hang: Callable[..., None],
    scheduler: AttuneScheduler,
    due_timer: Timer,
    due_entry: PeriodicTask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    PeriodicTask.objects.update(task="operators.clean", queue="operators.queue")
    begun = threading.Event()
    monkeypatch.setattr(periodic, "send", lambda *args: (begun.set(), hang()))

    for _ in range(3):
        scheduler.tick()

    assert begun.wait(60)
    assert TimerSlot.objects.count() == 1


def test_without_the_database_it_pauses_and_goes_on(
    scheduler: AttuneScheduler, due_timer: Timer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> int:
        raise OperationalError("the connection is closed")

    with monkeypatch.context() as broken:
        broken.setattr(timers, "fire_due", fail)
        pauses = [scheduler.tick() for _ in range(7)]

    assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert scheduler.tick() <= 1
    assert TimerSlot.objects.count() == 1


def test_sessions_that_the_server_ends_are_replaced(scheduler: AttuneScheduler, due_timer: Timer) -> None:
    scheduler.tick()
    forget_slots(due_timer)
    end_other_sessions()
    end_own_session()

    for _ in range(3):
        scheduler.tick()

    assert TimerSlot.objects.count() == 1


def end_other_sessions() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def end_own_session() -> None:
    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.fixture
def start_beat(tmp_path: Path) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Start real beats on the test database."""
    at = connection.settings_dict
    started: list[subprocess.Popen[bytes]] = []
    environment = {
        **os.environ,
        "ATTUNE_SERVICE": "beat",
        "DATABASE_URL": f"postgresql://{at['USER']}:{at['PASSWORD']}@/{at['NAME']}?host={at['HOST']}&port={at['PORT']}",
        "BROKER_URL": "amqp://127.0.0.1:1//",  # nobody answers: timers need no broker
        "DJANGO_SETTINGS_MODULE": "attune_project.settings",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-m", "celery", "-A", "attune_project.celery", "beat", "--pidfile="]

    def start() -> "subprocess.Popen[bytes]":
        with (tmp_path / f"beat{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_for_slots(count: int) -> None:
    ends = time.monotonic() + 90
    while TimerSlot.objects.count() < count:
        assert time.monotonic() < ends, f"{TimerSlot.objects.count()} of {count} slots"
        time.sleep(0.1)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_two_beats_fire_each_slot_once_and_one_takes_over(
    start_beat: Callable[[], "subprocess.Popen[bytes]"], make_rule: MakeRule, end: signal.Signals
) -> None:
    first = start_beat()
    timers.arm(make_rule().pk, INTERVAL, {"interval": 1, "misfire_policy": "catch_up", "max_catch_up": 100})
    wait_for_slots(1)
    start_beat()
    wait_for_slots(4)

    first.send_signal(end)
    so_far = TimerSlot.objects.count()
    wait_for_slots(so_far + 2)
    first.send_signal(signal.SIGCONT)
    wait_for_slots(so_far + 5)

    slots = list(TimerSlot.objects.order_by("scheduled_for").values_list("scheduled_for", flat=True))
    assert {later - earlier for earlier, later in pairwise(slots)} == {timedelta(seconds=1)}
    assert Event.objects.count() == len(slots)
    assert sorted(event.payload["execution_count"] for event in Event.objects.all()) == list(
        range(1, len(slots) + 1)
    )
