"""Probes, lost messages, dead letters: green, and red with a sentence that names the way."""

import pytest

from attune_project.console import checks_messages
from attune_project.console.checks_messages import expected_routes
from attune_project.messaging.models import DeadLetter, MessageCount, MessageProbe, Step
from attune_project.packs.models import Worker

pytestmark = pytest.mark.django_db
KEY = ("enforcement.created", "sensor")


@pytest.fixture
def probes(ago):
    """Every probe of the table, sent and answered a moment ago, in a product that runs for long."""
    for (key, service), route in expected_routes().items():
        row = MessageProbe.objects.create(
            message_type=route.message.name,
            routing_key=key,
            service=service,
            sent_at=ago(2),
            answered_at=ago(2),
        )
        MessageProbe.objects.filter(pk=row.pk).update(created=ago(5000))


def spoil(key=KEY, **changes):
    MessageProbe.objects.filter(routing_key=key[0], service=key[1]).update(**changes)


def red():
    return {one.name: one.reason for one in checks_messages.probes() if not one.ok}


def test_a_fresh_database_is_not_red():
    assert red() == {}


def test_answered_probes_are_green(probes):
    found = checks_messages.probes()

    assert {one.name for one in found} == {f"probe:{key}:{service}" for key, service in expected_routes()}
    assert all(one.ok for one in found)


def test_an_unanswered_probe_names_the_whole_way(probes, ago):
    spoil(answered_at=ago(21), error="no queue is bound")

    (reason,) = red().values()

    assert reason.startswith(
        "Probes of EnforcementCreated (exchange attune.executions, routing key enforcement.created) from the"
        " sensor service have not been answered for 21 s: the executor service should read them from"
        " attune.executions.queue as task attune.enforcement_created."
    )
    assert reason.endswith("The broker said: no queue is bound.")


def test_a_probe_that_was_never_answered(probes, ago):
    spoil(answered_at=None, created=ago(19))
    assert red() == {}

    spoil(created=ago(21))
    assert list(red()) == ["probe:enforcement.created:sensor"]


def test_a_restart_of_fifteen_seconds_is_forgiven(probes, ago):
    spoil(answered_at=ago(19.5))

    assert red() == {}


def test_a_service_that_no_longer_sends(probes, ago):
    spoil(sent_at=ago(21), answered_at=ago(21))

    assert red() == {
        "probe:enforcement.created:sensor": "The sensor service has sent no probe of EnforcementCreated"
        " (exchange attune.executions, routing key enforcement.created) for 21 s: is it running?"
    }


def causes():
    return {one.name: one.cause for one in checks_messages.probes() if not one.ok}


def test_an_unanswered_probe_accuses_the_way_of_its_message(probes, ago):
    spoil(answered_at=ago(21))

    assert causes() == {"probe:enforcement.created:sensor": "message:enforcement.created"}


def test_a_probe_that_is_not_sent_accuses_its_service(probes, ago):
    MessageProbe.objects.filter(service="sensor").update(sent_at=ago(21))

    assert set(causes().values()) == {"service:sensor"}
    assert len(causes()) > 1


def test_a_broker_that_takes_no_probe_is_one_cause(probes, ago):
    MessageProbe.objects.update(answered_at=ago(21), error="connection refused")

    assert set(causes().values()) == {"broker"}


def test_a_missing_probe(probes):
    MessageProbe.objects.filter(routing_key=KEY[0]).delete()

    (reason,) = red().values()

    assert reason.startswith("The sensor service has never sent a probe of EnforcementCreated")


def test_a_probe_behind_a_backlog_may_wait(probes, ago):
    spoil(answered_at=ago(100))
    Step.objects.create(name="enforce", full_claim_at=ago(1))
    assert red() == {}

    spoil(answered_at=ago(301))
    assert len(red()) == 1


@pytest.mark.parametrize(("repaired", "unanswered", "count"), [(2, 11, 1), (2, 9, 0), (21, 11, 0)])
def test_where_a_poll_found_rows_too_a_probe_is_late_sooner(probes, ago, repaired, unanswered, count):
    spoil(answered_at=ago(unanswered))
    Step.objects.create(name="enforce", repairs=1, repaired_at=ago(repaired))

    assert len(red()) == count


def test_rows_found_for_one_message_say_nothing_of_another(probes, ago):
    spoil(answered_at=ago(11))
    Step.objects.create(name="match", repairs=1, repaired_at=ago(1))

    assert red() == {}


def test_a_full_claim_of_long_ago_excuses_nothing(probes, ago):
    spoil(answered_at=ago(21))
    Step.objects.create(name="enforce", full_claim_at=ago(11))

    assert len(red()) == 1


@pytest.mark.parametrize(("status", "count"), [("busy", 0), ("active", 1)])
def test_workers_without_a_free_slot_may_leave_probes_waiting(probes, ago, status, count):
    Worker.objects.create(name="w", status=status, last_heartbeat=ago(1))
    spoil(("execution.requested", "executor"), answered_at=ago(1000))

    assert len(red()) == count


def test_rows_that_the_table_no_longer_has_are_ignored(probes, ago):
    spoil(("enforcement.created", "sensor"), routing_key="gone.away", sent_at=ago(9000))
    row = next(one for one in checks_messages.read_probes() if one.routing_key == "gone.away")

    assert checks_messages.is_retired(row)
    assert "probe:gone.away:sensor" not in red()


def test_a_pool_that_only_its_worker_declares_is_watched(probes, ago):
    MessageProbe.objects.create(
        message_type="ExecutionRequested",
        routing_key="execution.requested.gpu",
        service="worker",
        sent_at=ago(1),
        answered_at=ago(30),
    )
    assert red() == {}  # without a worker, the check of the pool says so
    Worker.objects.create(name="one", pool="gpu", last_heartbeat=ago(1))
    assert list(red()) == ["probe:execution.requested.gpu:worker"]

    spoil(("execution.requested.gpu", "worker"), sent_at=ago(3600))
    assert red() == {}


def counted(outcome, label, updated):
    MessageCount.objects.create(name="x", label=label, outcome=outcome, total=3)
    MessageCount.objects.update(updated=updated)


def lost():
    return {one.name: one.ok for one in checks_messages.lost_on_the_way()}


def test_nothing_was_lost_lately(ago):
    counted("unroutable", "EventCreated", ago(61))

    assert lost() == {"unroutable": True, "misrouted": True}


@pytest.mark.parametrize("outcome", ["unroutable", "misrouted"])
def test_what_was_lost_within_a_minute_is_named(ago, outcome):
    counted(outcome, "EventCreated", ago(59))

    (found,) = [one for one in checks_messages.lost_on_the_way() if not one.ok]

    assert found.name == outcome
    assert "EventCreated (3 in all)" in found.reason


def test_open_dead_letters_are_red(ago):
    common = {"queue": "q", "exchange": "e", "reason": "rejected", "body": ""}
    DeadLetter.objects.create(routing_key="event.created", requeued_at=ago(1), **common)
    assert [one.ok for one in checks_messages.dead_letters()] == [True]

    DeadLetter.objects.create(routing_key="enforcement.created", **common)
    (found,) = checks_messages.dead_letters()
    assert found.reason.startswith("1 dead letters wait for a person (q, rejected: 1).")
