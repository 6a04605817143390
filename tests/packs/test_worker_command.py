"""`manage.py worker`."""

import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now

from attune_project.packs import workers
from attune_project.packs.models import Worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def make_worker(db):
    def make(name="w1", age=1.0, **values):
        return Worker.objects.create(
            name=name, host="h", **{"last_heartbeat": Now() - timedelta(seconds=age), **values}
        )

    return make


def test_workers_are_listed(make_worker, capsys):
    make_worker(pool="gpu", capabilities={"slots": 8})
    make_worker("w2", age=99)

    call_command("worker", "list")

    heads, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert heads == ["ID", "NAME", "POOL", "STATE", "RUNNING", "SLOTS", "HOST", "HEARD"]
    assert [row[1:7] for row in rows] == [
        ["w1", "gpu", "active", "0", "8", "h"],
        ["w2", "default", "offline", "0", "?", "h"],
    ]


def test_a_worker_is_cordoned_and_uncordoned_by_name_or_id(make_worker, capsys):
    worker = make_worker()

    call_command("worker", "cordon", "w1", "--reason", "disk")
    worker.refresh_from_db()
    assert (worker.cordoned, worker.cordon_reason) == (True, "disk")

    call_command("worker", "uncordon", str(worker.pk))
    worker.refresh_from_db()
    assert not worker.cordoned
    assert capsys.readouterr().out == "w1: cordoned\nw1: active\n"


def test_a_drained_worker_is_cordoned_and_asked_to_end(make_worker, capsys):
    worker = make_worker()

    call_command("worker", "drain", "w1")

    worker.refresh_from_db()
    assert worker.cordoned
    assert worker.drain_requested_at is not None
    assert capsys.readouterr().out == "w1: draining\n"


@pytest.mark.django_db(transaction=True)
def test_a_drain_is_waited_for(make_worker, capsys, monkeypatch):
    worker = make_worker()
    asked = threading.Event()
    drain = workers.drain

    def drain_and_tell(*values, **named):
        drain(*values, **named)
        asked.set()

    def end():
        asked.wait(60)
        Worker.objects.filter(pk=worker.pk).update(status="inactive")
        connection.close()

    monkeypatch.setattr(workers, "drain", drain_and_tell)
    process = threading.Thread(target=end)
    process.start()
    call_command("worker", "drain", "w1", "--wait")
    process.join()

    assert capsys.readouterr().out == "w1: inactive\n"


def test_only_what_has_ended_is_forgotten(make_worker, capsys):
    make_worker()
    make_worker("w2", status="inactive")
    make_worker("w3", age=99)

    with pytest.raises(CommandError, match="w1 lives: drain it first"):
        call_command("worker", "forget", "w1")
    call_command("worker", "forget", "w2")
    call_command("worker", "forget", "w3")

    assert list(Worker.objects.values_list("name", flat=True)) == ["w1"]
    assert capsys.readouterr().out == "w2: forgotten\nw3: forgotten\n"


@pytest.mark.parametrize("name", ["x", "0", "9" * 30])
def test_an_unknown_worker_is_named(db, name):
    with pytest.raises(CommandError, match=f"No worker '{name}'"):
        call_command("worker", "cordon", name)


def test_rows_of_processes_that_ended_a_day_ago_go(make_worker):
    make_worker(age=90_000)
    make_worker("w2", age=80_000)

    assert workers.forget_ended() == 1
    assert list(Worker.objects.values_list("name", flat=True)) == ["w2"]
