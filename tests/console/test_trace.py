"""/trace: the same chain from each of its links, and only what the caller may read."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.models import Execution
from sensors.models import Event

KINDS = ("event", "enforcement", "execution")


def path_of(chain, kind):
    return f"/api/v1/trace/{kind}/{getattr(chain, kind).pk}"


def ids(data):
    return {kind: [row["id"] for row in data[kind]] for kind in ("events", "enforcements", "executions")}


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_chain_from_any_link(api, chain, make_chain, kind):
    make_chain()

    data = api.get(path_of(chain, kind)).json()["data"]

    assert data["trace_id"] == str(chain.event.trace_id)
    assert ids(data) == {
        "events": [chain.event.pk],
        "enforcements": [chain.enforcement.pk],
        "executions": [chain.execution.pk],
    }


def test_each_link_has_its_status_and_times(api, chain):
    data = api.get(path_of(chain, "event")).json()["data"]

    (event,), (enforcement,), (execution,) = data["events"], data["enforcements"], data["executions"]
    assert (event["status"], enforcement["status"], execution["status"]) == (
        "decided",
        "processed",
        "completed",
    )
    times = (event["created"], event["decided_at"], enforcement["resolved_at"], execution["scheduled_at"])
    assert list(times) == sorted(times)
    assert (enforcement["event"], enforcement["execution"]) == (event["id"], execution["id"])
    assert execution["enforcement"] == enforcement["id"]
    assert [attempt["number"] for attempt in execution["attempts"]] == [1]


def test_evaluations_say_what_matched(api, chain):
    (evaluation,) = api.get(path_of(chain, "event")).json()["data"]["evaluations"]

    assert (evaluation["rule_ref"], evaluation["status"], evaluation["event"]) == (
        "core.canary",
        "matched",
        chain.event.pk,
    )


def test_children_and_reruns_belong_to_the_chain(api, chain):
    common = {"action_ref": "core.noop", "status": "scheduled", "trace_id": chain.event.trace_id}
    child = Execution.objects.create(parent=chain.execution, **common)
    grandchild = Execution.objects.create(parent=child, **common)
    rerun = Execution.objects.create(original_execution=chain.execution, **common)

    from_below = api.get(f"/api/v1/trace/execution/{grandchild.pk}").json()["data"]
    from_rerun = api.get(f"/api/v1/trace/execution/{rerun.pk}").json()["data"]

    family = [chain.execution.pk, child.pk, grandchild.pk]
    assert (ids(from_below)["executions"], ids(from_below)["events"]) == (family, [chain.event.pk])
    assert ids(from_rerun)["executions"] == [*family, rerun.pk]


def test_an_execution_that_a_person_started_stands_alone(api, chain):
    alone = Execution.objects.create(
        action_ref="core.noop",
        status="scheduled",
        status_reason="waiting for a worker in pool default",
        trace_id=chain.event.trace_id,
    )

    data = api.get(f"/api/v1/trace/execution/{alone.pk}").json()["data"]

    assert ids(data) == {"events": [], "enforcements": [], "executions": [alone.pk]}
    assert data["executions"][0]["reason"] == "waiting for a worker in pool default"


def test_reasons_of_what_failed_or_waits(api, chain, sql):
    sql("UPDATE execution SET status = 'failed', result = '{\"error\": \"boom\"}'")
    sql("UPDATE event SET status = 'new', decided_at = NULL, ruleset_revision = NULL")
    sql("UPDATE enforcement SET status = 'disabled'")

    data = api.get(path_of(chain, "execution")).json()["data"]

    assert data["executions"][0]["reason"] == "boom"
    assert data["events"][0]["reason"] == "waiting to be matched against the rules"
    assert data["enforcements"][0]["reason"] == "its rule, trigger or action was disabled or gone by then"


def test_rows_that_the_caller_may_not_read_are_left_out(client_of, identity_with, chain):
    reader = identity_with({"resource": "events", "actions": ["read"]})

    data = client_of(reader).get(path_of(chain, "event")).json()["data"]

    assert ids(data) == {"events": [chain.event.pk], "enforcements": [], "executions": []}
    assert data["evaluations"] == []


def test_a_link_that_is_hidden_is_absent(client_of, identity_with, chain):
    reader = identity_with({"resource": "events", "actions": ["read"]})

    assert client_of(reader).get(path_of(chain, "execution")).status_code == 404


def test_without_events_read_it_is_forbidden(client_of, identity_with, chain):
    reader = identity_with({"resource": "executions", "actions": ["read"]})

    assert client_of(reader).get(path_of(chain, "execution")).status_code == 403


@pytest.mark.parametrize("path", ["event/1", "nonsense/1"])
def test_401_comes_first(stranger, db, path):
    assert stranger.get(f"/api/v1/trace/{path}").status_code == 401


@pytest.mark.parametrize("path", ["event/99", "nonsense/1", "event/x", "execution/99999999999999999999"])
def test_what_is_not_there_is_404(api, path):
    assert api.get(f"/api/v1/trace/{path}").status_code == 404


def test_no_query_per_row_and_a_bound(api, chain, sql):
    with CaptureQueriesContext(connection) as few:
        api.get(path_of(chain, "event"))
    sql(
        "INSERT INTO execution (action_ref, status, trace_id, parent_id)"
        " SELECT 'core.noop', 'scheduled', gen_random_uuid(), %s FROM generate_series(1, 300)",
        chain.execution.pk,
    )

    with CaptureQueriesContext(connection) as many:
        data = api.get(path_of(chain, "event")).json()["data"]

    assert len(data["executions"]) == 200
    assert len(many) == len(few)


def test_events_of_one_request_are_chains_of_their_own(api, chain):
    Event.objects.create(trigger_ref="x.y", trace_id=chain.event.trace_id)

    data = api.get(path_of(chain, "event")).json()["data"]

    assert ids(data)["events"] == [chain.event.pk]
