"""Contract section 9, as a client sees it: everything by HTTP, actions run by a real worker process."""

import re
import time

import pytest
from django.db import connection

from attune_project.packs.models import Worker
from executions import clock, lifecycle
from executions.models import TERMINAL, Execution
from executions.worker.process import WorkerProcess
from sensors.models import Event, Trigger
from tests.executions.test_worker import worker  # noqa: F401 (a fixture)

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/executions"
PATIENCE = 120
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture
def script(make_action):
    """Make an action of a shell script: `script("exit 3", max_retries=1)`."""

    def make(text, **values):
        number = Execution.objects.count()
        return make_action(f"demo.script{number}", entrypoint=text, runtime_ref="core.shell", **values).ref

    return make


@pytest.fixture
def client(api):
    """A client that executes, looks and waits."""

    class Client:
        def execute(self, action_ref, **body):
            answer = api.post(f"{URL}/execute", {"action_ref": action_ref, **body}, format="json")
            assert answer.status_code == 201, answer.json()
            return answer.json()["data"]

        def post(self, row, what, **body):
            return api.post(f"{URL}/{row['id']}/{what}", body, format="json")

        def get(self, row):
            return api.get(f"{URL}/{row['id']}").json()["data"]

        def list(self, query):
            return [row["id"] for row in api.get(f"{URL}?{query}").json()["data"]]

        def stats(self):
            return api.get(f"{URL}/stats").json()["data"]

    return Client()


def until(look, wanted):
    """Look until what is wanted is there, or much too long."""
    ends = time.monotonic() + PATIENCE
    while not wanted(row := look()):
        assert time.monotonic() < ends, row
        time.sleep(0.05)
    return row


def ended(client, process, row):
    """Do the executor's and the worker's part until the execution has ended; return it."""

    def look():
        with connection.cursor() as cursor:  # nobody waits for seconds
            cursor.execute("UPDATE execution SET due_at = now() WHERE due_at > now()")
        clock.admit_due()
        process.take(10)
        process.look_for_cancels()
        return client.get(row)

    return until(look, lambda shown: shown["status"] in TERMINAL)


def test_requested_without_a_hindrance_it_is_scheduled_and_says_for_what_it_waits(client, script):
    row = client.execute(script("true"))

    assert (row["status"], row["attempts"], row["result"]) == ("scheduled", [], None)
    assert row["status_reason"] == "waiting for a worker in pool default"
    assert row["scheduled_at"]
    assert (row["started_at"], row["finished_at"]) == (None, None)
    assert client.stats()["pending"] == 1


def test_a_success_is_completed_with_one_attempt_and_times_in_order(client, script, worker):  # noqa: F811
    row = ended(client, worker, client.execute(script("echo hi")))

    assert row["status"] == "completed"
    assert row["result"] == {**row["result"], "exit_code": 0, "succeeded": True, "stdout": "hi\n"}
    assert row["status_reason"] is None
    assert row["worker"] == worker.worker_id
    times = [row[name] for name in ("created", "scheduled_at", "started_at", "finished_at")]
    assert times == sorted(times)
    assert all(STAMP.fullmatch(moment) for moment in times)
    (attempt,) = row["attempts"]
    assert (attempt["number"], attempt["status"], attempt["worker"]) == (1, "completed", worker.worker_id)
    assert client.stats() == {
        "total": 1, "completed": 1, "failed": 0, "running": 0, "pending": 0, "cancelled": 0, "timeout": 0,
        "abandoned": 0,
    }  # fmt: skip


def test_settling_does_not_move_what_has_ended(client, script, worker):  # noqa: F811
    row = ended(client, worker, client.execute(script("true")))

    lifecycle.settle(10)

    settled = client.get(row)
    assert settled["settled_at"] >= settled["finished_at"]
    assert {**settled, "settled_at": None} == {**row, "settled_at": None}


def test_a_failure_without_retries_is_failed(client, script, worker):  # noqa: F811
    row = ended(client, worker, client.execute(script("echo oh no >&2; exit 3")))

    assert (row["status"], row["retry_count"], row["retry_reason"]) == ("failed", 0, None)
    assert (row["result"]["exit_code"], row["result"]["error"]) == (3, "oh no")


def test_a_failed_attempt_is_tried_again_as_the_same_execution(client, script, worker):  # noqa: F811
    made = client.execute(script("exit 4", max_retries=2))
    worker.take(10)
    waiting = until(lambda: client.get(made), lambda row: row["status"] == "requested")

    assert (waiting["retry_count"], waiting["retry_reason"]) == (1, "transient_error")
    assert (waiting["scheduled_at"], waiting["started_at"], waiting["result"]) == (None, None, None)
    assert waiting["status_reason"] == "waiting to be tried again (1 of 2)"
    assert waiting["due_at"] > waiting["updated"]

    row = ended(client, worker, made)

    assert (row["status"], row["retry_count"]) == ("failed", 2)
    assert [(one["number"], one["status"]) for one in row["attempts"]] == [
        (1, "failed"), (2, "failed"), (3, "failed"),
    ]  # fmt: skip
    assert [one["result"] and one["result"]["exit_code"] for one in row["attempts"]] == [4, 4, 4]
    assert row["result"]["exit_code"] == 4


def test_a_retry_that_succeeds_completes(client, script, worker, tmp_path):  # noqa: F811
    text = f"test -e {tmp_path}/seen && exit 0; touch {tmp_path}/seen; exit 1"

    row = ended(client, worker, client.execute(script(text, max_retries=3)))

    assert (row["status"], row["retry_count"], len(row["attempts"])) == ("completed", 1, 2)


def test_only_what_the_action_wants_is_tried_again(client, script, worker):  # noqa: F811
    row = ended(
        client, worker, client.execute(script("exit 4", max_retries=2, retry_on={"exit_codes": [75]}))
    )

    assert (row["status"], len(row["attempts"])) == ("failed", 1)


def test_over_its_limit_it_ends_timeout(client, script, worker):  # noqa: F811
    row = ended(client, worker, client.execute(script("sleep 600", timeout_seconds=1)))

    assert row["status"] == "timeout"
    assert "timed out after 1 s" in row["result"]["error"]
    assert client.stats()["timeout"] == 1


def test_cancelled_before_it_runs_it_ends_at_once(client, script, administrator, worker):  # noqa: F811
    made = client.execute(script("true"))

    answer = client.post(made, "cancel", reason="not today")

    row = answer.json()["data"]
    assert (answer.status_code, row["status"]) == (200, "cancelled")
    assert row["result"] == {"error": "Cancelled before start"}
    assert (row["cancelled_by"], row["cancel_reason"]) == (administrator.pk, "not today")
    assert row["finished_at"]
    assert worker.take(10) == 0
    assert client.get(made)["attempts"] == []


def test_cancelled_while_it_runs_it_is_stopped(client, script, worker):  # noqa: F811
    made = client.execute(script("echo begun; sleep 600", max_retries=3))
    worker.take(10)
    until(lambda: client.get(made), lambda row: row["status"] == "running")

    answers = [client.post(made, "cancel") for _ in range(2)]

    assert [(one.status_code, one.json()["data"]["status"]) for one in answers] == [(200, "canceling")] * 2
    assert client.stats()["running"] == 1, "one that is being stopped runs"
    row = ended(client, worker, made)
    assert (row["status"], row["retry_count"]) == ("cancelled", 0)
    assert row["result"]["error"] == "Cancelled while running"
    assert [one["status"] for one in row["attempts"]] == ["cancelled"]


def test_a_cancel_between_two_attempts_is_not_lost(client, script, worker):  # noqa: F811
    made = client.execute(script("exit 1", max_retries=3))
    worker.take(10)
    until(lambda: client.get(made), lambda row: row["status"] == "requested")

    row = client.post(made, "cancel").json()["data"]

    assert (row["status"], row["due_at"], row["result"]) == (
        "cancelled", None, {"error": "Cancelled before start"},
    )  # fmt: skip
    clock.admit_due()
    assert worker.take(10) == 0
    assert len(client.get(made)["attempts"]) == 1


def test_what_has_ended_changes_no_more(client, script, worker):  # noqa: F811
    row = ended(client, worker, client.execute(script("true")))

    refused = client.post(row, "cancel", reason="too late")

    assert (refused.status_code, refused.json()["code"]) == (409, "CONFLICT")
    assert "completed" in refused.json()["error"]
    assert client.get(row) == row


def test_a_lost_worker_s_execution_is_abandoned_and_said(client, script, db):
    Trigger.objects.create(ref="core.alert", label="Alert")
    lost = Worker.objects.create(name="lost", capabilities={"labels": {}})
    made = client.execute(script("true", max_retries=3))
    lifecycle.claim(lifecycle.Claimant(lost.pk), 1, [], inline=False)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE execution SET lease_expires_at = now() - interval '1 s'")

    lifecycle.expire(10)

    row = client.get(made)
    assert row["status"] == "abandoned"
    assert row["result"].keys() == {"error", "abandoned_by", "original_status", "worker"}
    assert row["result"]["original_status"] == "running"
    assert row["result"]["worker"] == {"id": lost.pk, "name": "lost", "cordoned": False}
    assert [one["status"] for one in row["attempts"]] == ["abandoned"]
    alert = Event.objects.get(trigger_ref="core.alert").payload
    assert alert["correlation_id"] == f"execution:{made['id']}:worker_unavailable"


def test_an_idempotent_action_is_tried_again_without_a_retry_being_counted(client, script, worker):  # noqa: F811
    Trigger.objects.create(ref="core.alert", label="Alert")
    lost = Worker.objects.create(name="lost", capabilities={"labels": {}})
    made = client.execute(script("true", idempotent=True))
    lifecycle.claim(lifecycle.Claimant(lost.pk), 1, [], inline=False)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE execution SET lease_expires_at = now() - interval '1 s'")
    lifecycle.expire(10)

    row = ended(client, worker, made)

    assert (row["status"], row["retry_count"], row["retry_reason"]) == ("completed", 0, "worker_unavailable")
    assert [one["status"] for one in row["attempts"]] == ["abandoned", "completed"]


def test_parameters_that_do_not_fit_make_one_that_failed(client, script):
    ref = script("true", param_schema={"n": {"type": "integer", "required": True}})

    row = client.execute(ref, parameters={"other": 1})

    assert (row["status"], row["attempts"], row["started_at"]) == ("failed", [], None)
    assert "n" in row["result"]["error"]
    assert client.stats()["failed"] == 1


def test_run_again_it_is_another_execution(client, script, worker):  # noqa: F811
    ref = script('echo "$PARAM_NAME"', param_schema={"name": {"type": "string"}})
    first = ended(client, worker, client.execute(ref, parameters={"name": "a"}))

    same = client.post(first, "rerun").json()["data"]
    other = client.post(first, "rerun", parameters={"name": "b"}, reason="wrong name").json()["data"]

    assert client.list(f"original_execution={first['id']}") == [other["id"], same["id"]]
    assert ended(client, worker, same)["result"]["stdout"] == "a\n"
    assert ended(client, worker, other)["result"]["stdout"] == "b\n"
    assert (other["original_execution"], other["rerun_reason"]) == (first["id"], "wrong name")
    assert client.get(first) == first


def test_a_claim_is_for_one_worker(client, script, worker):  # noqa: F811
    client.execute(script("true"))
    assert isinstance(worker, WorkerProcess)
    one, two = (Worker.objects.create(name=name, capabilities={"labels": {}}) for name in "ab")

    first = lifecycle.claim(lifecycle.Claimant(one.pk), 5, [], inline=False)
    second = lifecycle.claim(lifecycle.Claimant(two.pk), 5, [], inline=False)

    assert (len(first), second) == (1, [])
