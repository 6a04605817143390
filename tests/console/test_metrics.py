"""/metrics: who may ask, and what each family says."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from attune_project.console import broker_state, metrics, metrics_matching, metrics_messages, metrics_pipeline
from attune_project.console.bounded import Bounded
from attune_project.console.broker_state import BrokerState, QueueState
from attune_project.messaging.models import DeadLetter, MessageCount, MessageProbe, Step
from sensors.models import Event

pytestmark = pytest.mark.django_db
AWAY = {"REMOTE_ADDR": "192.0.2.7"}


@pytest.fixture(autouse=True)
def _quiet_broker(monkeypatch):
    class Quiet:
        def state(self):
            return BrokerState(queues={"attune.events.queue": QueueState(3, 1)})

        def away_for(self):
            return 0.0

    monkeypatch.setattr(broker_state, "watch", Quiet())
    monkeypatch.setattr(metrics, "gathered", Bounded(list, keep=0, patience=60))


def samples(families):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_this_machine_may_ask(stranger):
    response = stranger.get("/metrics")

    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain")
    names = {family.name for family in text_string_to_metric_families(response.content.decode())}
    assert {"attune_database_up", "django_http_requests_before_middlewares"} <= names


def test_strangers_may_not(stranger):
    assert stranger.get("/metrics", **AWAY).status_code == 401


@pytest.mark.parametrize("header", ["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP"])
def test_a_proxy_on_this_machine_is_not_this_machine(stranger, header):
    assert stranger.get("/metrics", **{header: "127.0.0.1"}).status_code == 401


def test_a_token_that_reads_workers_may_ask(client_of, identity_with):
    reader = identity_with({"resource": "workers", "actions": ["read"]})

    assert client_of(reader).get("/metrics", **AWAY).status_code == 200


def test_another_token_may_not(client_of, nobody):
    assert client_of(nobody).get("/metrics", **AWAY).status_code == 403


def test_a_database_that_hangs_is_said(stranger, monkeypatch, hang):
    monkeypatch.setattr(metrics, "gathered", Bounded(hang, keep=0, patience=0.1))

    page = stranger.get("/metrics").content.decode()

    assert "attune_database_up 0.0" in page


def test_every_family_is_there_in_an_empty_database():
    names = {family.name for family in metrics.gather()}

    assert names >= {
        "attune_messages_published",
        "attune_messages_unroutable",
        "attune_messages_consumed",
        "attune_queue_depth",
        "attune_queue_consumers",
        "attune_dead_letters",
        "attune_step_owed_rows",
        "attune_step_oldest_owed_seconds",
        "attune_step_repairs",
        "attune_probe_age_seconds",
        "attune_stage_latency_seconds",
        "attune_check_ok",
        "attune_events",
        "attune_enforcements",
        "attune_executions",
    }


def test_messages_are_counted_by_type_and_outcome():
    MessageCount.objects.create(name="published", label="EventCreated", outcome="ok", total=5)
    MessageCount.objects.create(name="published", label="EventCreated", outcome="unroutable", total=2)
    MessageCount.objects.create(name="consumed", label="attune.events.queue", outcome="ok", total=4)

    assert samples(metrics_messages.counters()) == {
        ("attune_messages_published_total", "EventCreated", "ok"): 5,
        ("attune_messages_published_total", "EventCreated", "unroutable"): 2,
        ("attune_messages_consumed_total", "attune.events.queue", "ok"): 4,
        ("attune_messages_unroutable_total",): 2,
    }


def test_queues_by_depth_and_consumers():
    assert samples(metrics_messages.broker()) == {
        ("attune_broker_up",): 1,
        ("attune_queue_depth", "attune.events.queue"): 3,
        ("attune_queue_consumers", "attune.events.queue"): 1,
    }


def test_without_a_broker_there_is_no_depth(monkeypatch):
    monkeypatch.setattr(broker_state.watch, "state", lambda: BrokerState("away"), raising=False)

    assert samples(metrics_messages.broker()) == {("attune_broker_up",): 0}


def test_dead_letters_ever_and_open(ago):
    common = {"queue": "q", "exchange": "e", "reason": "rejected", "body": "", "routing_key": "event.created"}
    DeadLetter.objects.create(requeued_at=ago(1), **common)
    DeadLetter.objects.create(**common)

    assert samples(metrics_messages.dead_letters()) == {
        ("attune_dead_letters_total", "event.created"): 2,
        ("attune_dead_letters_open", "q", "rejected"): 1,
    }


def test_probe_ages(ago):
    MessageProbe.objects.create(
        message_type="x", routing_key="event.created", service="web", sent_at=ago(1), answered_at=ago(12)
    )

    ((key, value),) = samples([metrics_messages.probes()]).items()

    assert key == ("attune_probe_age_seconds", "event.created", "web")
    assert value == pytest.approx(12, abs=2)


def test_rows_that_owe_and_repairs(chain, sql, ago):
    sql("UPDATE event SET status = 'new', created = %s", ago(50))
    Step.objects.create(name="match", repairs=9)

    found = samples(metrics_pipeline.step_metrics())

    assert found["attune_step_owed_rows", "match"] == 1
    assert found["attune_step_oldest_owed_seconds", "match"] == pytest.approx(50, abs=2)
    assert found["attune_step_repairs_total", "match"] == 9
    assert found["attune_step_owed_rows", "settle"] == 0


def test_rows_by_status(chain, monkeypatch):
    monkeypatch.setattr(
        metrics_pipeline, "SMALL_TABLE_BYTES", 2**40
    )  # whatever other tests left in the files
    Event.objects.create(trigger_ref="x.y", trace_id=chain.event.trace_id)

    found = samples(metrics_pipeline.rows_by_status())

    assert found["attune_events", "new"] == found["attune_events", "decided"] == 1
    assert found["attune_executions", "completed"] == found["attune_enforcements", "processed"] == 1


def test_a_big_table_is_estimated_but_what_is_under_way_is_counted(chain, sql, monkeypatch):
    monkeypatch.setattr(metrics_pipeline, "SMALL_TABLE_BYTES", 0)
    sql(
        "INSERT INTO event (trigger_ref, trace_id, status)"
        " SELECT 'x.y', gen_random_uuid(), 'decided' FROM generate_series(1, 99)"
    )
    sql("ANALYZE event")
    sql("UPDATE event SET status = 'new' WHERE id = %s", chain.event.pk)

    assert metrics_pipeline.status_counts("event") == {"decided": 100, "new": 1}
    assert metrics_pipeline.status_counts("execution")["running"] == 0


def test_stage_latencies(chain):
    found = samples([metrics_pipeline.latencies()])

    assert found["attune_stage_latency_seconds", "event_to_decided", "0.5"] == pytest.approx(0.01)
    assert found["attune_stage_latency_seconds", "event_to_finished", "0.99"] == pytest.approx(0.05)
    assert len(found) == 18


def test_executions_without_an_event_have_stages_of_their_own(chain, sql):
    sql("DELETE FROM enforcement")

    stages = metrics_pipeline.stage_quantiles()

    assert stages["event_to_finished"] is None
    assert stages["started_to_finished"] == pytest.approx([0.01] * 3)


def test_the_canary_is_measured_per_hop(chain):
    found = samples(metrics_pipeline.canary_metrics())

    assert found[("attune_canary_age_seconds",)] == pytest.approx(20, abs=2)
    assert found["attune_canary_hop_seconds", "match"] == pytest.approx(0.01)


def test_checks_are_ones_and_zeros(ago):
    DeadLetter.objects.create(queue="q", exchange="e", reason="r", body="", routing_key="k")

    found = samples([metrics_pipeline.check_metrics()])

    assert found["attune_check_ok", "dead_letters"] == 0
    assert found["attune_check_ok", "unroutable"] == 1


def test_what_asking_rules_costs_is_shown_by_trigger():
    for outcome, total in (("events", 4), ("rules", 40), ("nanoseconds", 2_500_000_000)):
        MessageCount.objects.create(name="matched", label="a.b", outcome=outcome, total=total)

    assert samples(metrics_matching.families()) == {
        ("attune_matching_events_total", "a.b"): 4,
        ("attune_matching_rules_asked_total", "a.b"): 40,
        ("attune_matching_cpu_seconds_total", "a.b"): 2.5,
    }
