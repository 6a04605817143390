"""The results of attempts, of which the last one's is stored at the execution."""

import pytest

from executions import lifecycle
from executions.models import Execution
from executions.requesting import Wanted, request_executions
from tests.executions.lives import claim_one, due_now, end, lapse

URL = "/api/v1/executions"
TRACE = "0b0f7bdc-45ab-4c1c-9d39-6ac0a5f4c2f1"
DONE = {"exit_code": 0, "succeeded": True}
FAILED = {"exit_code": 1, "succeeded": False}


@pytest.fixture
def execution_id(make_action, worker):
    [row_id] = request_executions([Wanted(make_action(max_retries=1, idempotent=True), {}, TRACE)])
    return row_id


def results(api, execution_id):
    return [one["result"] for one in api.get(f"{URL}/{execution_id}").json()["data"]["attempts"]]


def test_the_last_attempt_has_the_result_of_its_execution(api, execution_id, worker):
    end(claim_one(worker), "failed", FAILED)
    due_now()
    end(claim_one(worker), result=DONE)

    assert results(api, execution_id) == [FAILED, DONE]


def test_an_attempt_that_runs_has_none(api, execution_id, worker):
    claim_one(worker)

    assert results(api, execution_id) == [None]


def test_an_execution_that_was_cancelled_between_attempts_has_an_end_of_its_own(api, execution_id, worker):
    claim_one(worker)
    lapse(execution_id)
    lifecycle.expire(10)
    lifecycle.cancel(execution_id)

    row = api.get(f"{URL}/{execution_id}").json()["data"]

    assert row["result"] == {"error": "Cancelled before start"}
    assert results(api, execution_id) == [None]


def test_a_lost_attempt_says_so(api, execution_id, worker):
    Execution.objects.filter(pk=execution_id).update(action=None)
    claim_one(worker, inline=False)
    lapse(execution_id)
    lifecycle.expire(10)

    assert results(api, execution_id)[0]["abandoned_by"] == "lease_expired"


def test_the_admin_shows_it_on_both_pages(admin_client, execution_id, worker):
    end(claim_one(worker), result={"data": "the-last-word"})
    execution = Execution.objects.get(pk=execution_id)

    page = admin_client.get(f"/admin/executions/attempt/{execution.attempts.get().pk}/change/")

    assert b"the-last-word" in page.content
    execution_page = admin_client.get(f"/admin/executions/execution/{execution_id}/change/")
    assert execution_page.content.count(b"the-last-word") == 2  # its own result, and its attempt's
