"""`GET /executions/{id}/history`: what an execution has been through."""

import uuid

import pytest

from executions import lifecycle
from executions.models import Execution
from executions.requesting import Rerun, Wanted, request_executions
from tests.executions.lives import claim_one, due_now, end, lapse

pytestmark = pytest.mark.django_db
FAILED = {"exit_code": 1, "error": "no route"}


@pytest.fixture
def action(make_action):
    return make_action(max_retries=1, idempotent=True, param_schema={"n": {"type": "integer"}})


@pytest.fixture
def request_one(action):
    def make(parameters=None, **values):
        return request_executions([Wanted(action, parameters or {}, uuid.uuid4(), **values)])[0]

    return make


def history(api, execution_id, query=""):
    answer = api.get(f"/api/v1/executions/{execution_id}/history{query}")
    assert answer.status_code == 200, answer.json()
    return answer.json()["data"]


def passed(api, execution_id):
    return [(one["status"], one["attempt"]) for one in history(api, execution_id)]


def test_what_waits_has_come_that_far(api, request_one, administrator):
    execution_id = request_one(executor_id=administrator.pk, rule_ref="demo.rule")

    first, second = history(api, execution_id)

    row = api.get(f"/api/v1/executions/{execution_id}").json()["data"]
    assert first == {
        "event": "status", "at": row["created"], "status": "requested", "attempt": None, "worker": None,
        "by": administrator.pk, "reason": "rule demo.rule", "execution": None,
    }  # fmt: skip
    assert (second["status"], second["at"]) == ("scheduled", row["scheduled_at"])


def test_a_retry_is_told_attempt_by_attempt(api, request_one, worker):
    execution_id = request_one()
    end(claim_one(worker), "failed", FAILED)
    due_now()
    end(claim_one(worker))

    told = history(api, execution_id)

    assert [(one["status"], one["attempt"]) for one in told] == [
        ("requested", None), ("scheduled", None), ("running", 1), ("requested", 1), ("scheduled", None),
        ("running", 2), ("completed", 2),
    ]  # fmt: skip
    assert told[3]["reason"] == "tried again: the attempt failed"
    assert {one["worker"] for one in told if one["attempt"]} == {worker.pk}
    times = [one["at"] for one in told]
    assert times[1] is None  # only the present attempt's is kept
    kept = [at for at in times if at is not None]
    assert kept == sorted(kept)
    assert len(kept) == 6


def test_a_failure_says_why(api, request_one, worker):
    execution_id = request_one()
    Execution.objects.filter(pk=execution_id).update(max_retries=0)
    end(claim_one(worker), "failed", FAILED)

    assert history(api, execution_id)[-1]["reason"] == "no route"


def test_what_is_refused_at_once_was_never_scheduled(api, request_one):
    execution_id = request_one({"n": "many"})

    assert passed(api, execution_id) == [("requested", None), ("failed", None)]


def test_a_cancel_says_who_and_why_while_it_lasts_and_after(api, request_one, worker, administrator):
    execution_id = request_one()
    claimed = claim_one(worker)
    lifecycle.cancel(execution_id, administrator.pk, "wrong host")

    stopping = history(api, execution_id)[-1]
    end(claimed, "cancelled")
    *_, asked, over = history(api, execution_id)

    assert (stopping["status"], stopping["by"], stopping["reason"]) == (
        "canceling", administrator.pk, "wrong host",
    )  # fmt: skip
    assert stopping["at"] is not None
    assert (asked["status"], asked["at"], asked["by"]) == ("canceling", None, administrator.pk)
    assert (over["status"], over["by"], over["reason"]) == ("cancelled", administrator.pk, "wrong host")


def test_a_lost_worker_is_told(api, request_one, worker):
    execution_id = request_one()
    claim_one(worker)
    lapse(execution_id)
    lifecycle.expire(10)
    lifecycle.cancel(execution_id)

    assert passed(api, execution_id) == [
        ("requested", None), ("scheduled", None), ("running", 1), ("requested", 1), ("cancelled", None),
    ]  # fmt: skip
    assert history(api, execution_id)[3]["reason"] == "tried again: the worker of the attempt was lost"


def test_one_that_was_to_stop_when_its_worker_was_lost(api, request_one, worker):
    execution_id = request_one()
    claim_one(worker)
    lifecycle.cancel(execution_id)
    lapse(execution_id)
    lifecycle.expire(10)

    assert passed(api, execution_id)[-2:] == [("canceling", 1), ("abandoned", 1)]


def test_reruns_are_told_on_both_sides(api, request_one, administrator):
    original = request_one()
    again = request_one(executor_id=administrator.pk, rerun_of=Rerun(original, "the disk was full"))

    last, first = history(api, original)[-1], history(api, again)[0]

    assert (last["event"], last["execution"], last["by"]) == ("rerun", again, administrator.pk)
    assert (first["event"], first["execution"], first["by"]) == ("status", original, administrator.pk)
    assert last["reason"] == first["reason"] == "the disk was full"


def test_a_rerun_that_the_caller_may_not_see_is_left_out(client_of, identity_with, request_one):
    reader = identity_with({"resource": "executions", "actions": ["read"]})
    original = request_one(executor_id=reader.pk)
    request_one(executor_id=identity_with(login="other").pk, rerun_of=Rerun(original))

    assert {one["event"] for one in history(client_of(reader), original)} == {"status"}


def test_it_is_a_list_as_others_are(api, request_one):
    execution_id = request_one()
    url = f"/api/v1/executions/{execution_id}/history"

    page = api.get(f"{url}?per_page=1&page=2").json()

    assert [one["status"] for one in page["data"]] == ["scheduled"]
    assert page["pagination"]["total_items"] == 2
    assert api.get(f"{url}?colour=red").json()["code"] == "UNKNOWN_FILTER"
    assert api.get("/api/v1/executions/987654/history").status_code == 404
    assert api.get("/api/v1/executions/x/history").status_code == 404


def test_strangers_and_who_has_no_right_are_refused(stranger, client_of, nobody, request_one):
    url = f"/api/v1/executions/{request_one()}/history"

    assert stranger.get(url).status_code == 401
    assert client_of(nobody).get(url).status_code == 403
