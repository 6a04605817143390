from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models.functions import Now

from attune_project.packs.models import Worker
from executions.models import Action, Execution

URL = "/api/v1/workers"


@pytest.fixture
def make_worker(db):
    def make(name="w1", age=1.0, **values):
        capabilities = {"runtimes": ["core.builtin"], "labels": {}, "slots": 8}
        seen = None if age is None else Now() - timedelta(seconds=age)
        return Worker.objects.create(
            name=name, **{"last_heartbeat": seen, "capabilities": capabilities, **values}
        )

    return make


def test_a_worker_is_shown_with_its_state(api, make_worker):
    worker = make_worker()

    shown = api.get(f"{URL}/{worker.pk}").json()["data"]

    assert shown["supported_runtimes"] == ["core.builtin"]
    assert 0.9 <= shown["heartbeat_age_seconds"] < 20
    assert shown["heartbeat_stale"] is False
    assert shown["health_state"] == "active"
    assert shown["load"] == {
        "running": 0, "scheduled": 0, "total_active": 0, "max_concurrent_executions": 8,
        "utilization_percent": 0.0, "sensor_processes_running": 0, "sensor_processes_monitored": 0,
        "active_rules": 0, "max_concurrent_sensors": None,
    }  # fmt: skip


def test_the_load_counts_what_runs(api, make_worker, core):
    worker = make_worker()
    action = Action.objects.get(ref="core.echo")
    lease = {"lease_token": uuid4(), "lease_expires_at": Now() + timedelta(seconds=20)}
    for status in ("running", "running", "canceling"):
        run(action, worker, status=status, **lease)
    run(action, worker, status="completed", finished_at=Now())

    load = api.get(f"{URL}/{worker.pk}").json()["data"]["load"]

    assert (load["running"], load["total_active"], load["utilization_percent"]) == (3, 3, 37.5)


def run(action, worker, **values):
    Execution.objects.create(action=action, action_ref=action.ref, worker=worker, trace_id=uuid4(), **values)


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({}, "active"),
        ({"status": "busy"}, "busy"),
        ({"cordoned": True}, "cordoned"),
        ({"age": 60}, "offline"),
        ({"age": None}, "offline"),
        ({"age": 60, "cordoned": True}, "offline"),
        ({"status": "inactive"}, "inactive"),
        ({"status": "error"}, "error"),
    ],
)
def test_the_health_of_a_worker(api, make_worker, values, state):
    make_worker(**values)

    assert api.get(URL).json()["data"][0]["health_state"] == state
    assert len(api.get(f"{URL}?health_state={state}").json()["data"]) == 1
    assert api.get(f"{URL}?health_state=active").json()["data"] == [] or state == "active"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("role=sensor", "s"),
        ("cordoned=true", "c"),
        ("status=inactive,error", ["i"]),
        ("ordering=name", "cis"),
    ],
)
def test_workers_are_filtered(api, make_worker, query, names):
    make_worker("s", worker_role="sensor")
    make_worker("c", cordoned=True)
    make_worker("i", status="inactive")

    assert [worker["name"] for worker in api.get(f"{URL}?{query}").json()["data"]] == list(names)


def test_no_worker_costs_a_query(api, make_worker, django_assert_max_num_queries):
    for number in range(20):
        make_worker(f"w{number}")

    with django_assert_max_num_queries(5):
        assert len(api.get(URL).json()["data"]) == 20


def test_workers_are_for_those_who_may_read_them(nobody, client_of, stranger):
    assert stranger.get(URL).status_code == 401
    assert client_of(nobody).get(URL).status_code == 403


@pytest.mark.parametrize("identifier", ["0", "x", "99999999999999999999"])
def test_an_absent_worker_is_404(api, identifier):
    assert api.get(f"{URL}/{identifier}").status_code == 404


def test_a_cordon_is_answered_bare_and_names_who_and_why(api, make_worker, administrator):
    worker = make_worker()

    shown = api.post(f"{URL}/{worker.pk}/cordon", {"reason": "new kernel"}, format="json").json()

    assert (shown["id"], shown["cordoned"], shown["cordon_reason"]) == (worker.pk, True, "new kernel")
    assert (shown["cordoned_by"], shown["health_state"]) == (administrator.pk, "cordoned")
    assert shown["cordoned_at"] is not None

    shown = api.post(f"{URL}/{worker.pk}/uncordon").json()

    assert (shown["cordoned"], shown["cordon_reason"], shown["cordoned_by"]) == (False, None, None)
    assert (shown["cordoned_at"], shown["health_state"]) == (None, "active")


def test_a_cordon_needs_no_body(api, make_worker):
    assert api.post(f"{URL}/{make_worker().pk}/cordon").json()["cordoned"] is True


@pytest.mark.parametrize("body", [{"reason": 3}, {"reason": ["x"]}])
def test_a_reason_is_text(api, make_worker, body):
    refused = api.post(f"{URL}/{make_worker().pk}/cordon", body, format="json")

    assert (refused.status_code, list(refused.json()["details"])) == (422, ["reason"])


def test_a_list_is_no_body_of_a_cordon(api, make_worker):
    worker = make_worker()

    refused = api.post(f"{URL}/{worker.pk}/cordon", [], format="json")

    worker.refresh_from_db()
    assert (refused.status_code, worker.cordoned) == (422, False)


@pytest.mark.parametrize("word", ["cordon", "uncordon"])
def test_who_only_reads_workers_cordons_none(identity_with, client_of, api, make_worker, word):
    worker = make_worker()
    reader = client_of(identity_with({"resource": "workers", "actions": ["read"], "constraints": {}}))

    assert reader.post(f"{URL}/{worker.pk}/{word}").status_code == 403
    assert api.post(f"{URL}/0/{word}").status_code == 404
    assert api.get(f"{URL}/{worker.pk}/{word}").status_code == 405
    worker.refresh_from_db()
    assert not worker.cordoned


def test_the_slots_that_only_wait_count_too(api, make_worker):
    worker = make_worker(capabilities={"slots": 4, "builtin_slots": 16})

    load = api.get(f"{URL}/{worker.pk}").json()["data"]["load"]

    assert load["max_concurrent_executions"] == 20
