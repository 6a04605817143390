"""Which attempts are tried again."""

import uuid

import pytest

from executions import lifecycle
from executions.lifecycle.retrying import RetryError, problems, wanted
from executions.models import Attempt, Execution
from executions.requesting import Wanted, request_executions
from executions.runners import Control, RunnerSettings
from executions.worker.jobs import perform
from tests.executions.lives import claim_one, due_now, end

FAILED = {"exit_code": 75, "succeeded": False, "error": "x"}


@pytest.mark.parametrize(
    ("retry_on", "status", "result", "again"),
    [
        (None, "failed", FAILED, True),
        (None, "timeout", FAILED, True),
        (None, "completed", FAILED, False),
        (None, "cancelled", FAILED, False),
        ({"statuses": ["timeout"]}, "timeout", FAILED, True),
        ({"statuses": ["timeout"]}, "failed", FAILED, False),
        ({"exit_codes": [1, 75]}, "failed", FAILED, True),
        ({"exit_codes": [1]}, "failed", FAILED, False),
        ({"exit_codes": [1]}, "failed", {"error": "x"}, False),
        ({"statuses": ["timeout"], "exit_codes": [75]}, "failed", FAILED, True),
        ({"expression": "{{ result().exit_code == 75 }}"}, "failed", FAILED, True),
        ({"expression": "result.exit_code == 1"}, "failed", FAILED, False),
        ({"expression": "result().code == 503"}, "failed", {"data": {"code": 503}}, True),
        ({"expression": "result().code == 503"}, "failed", {"data": [1]}, False),
        ({"expression": "timed_out() and attempt < 3"}, "timeout", FAILED, True),
        ({"expression": "status == 'timeout' or not failed()"}, "failed", FAILED, False),
        ({"expression": "true"}, "completed", {}, False),
    ],
)
def test_an_attempt_is_tried_again_when_any_member_holds(retry_on, status, result, again):
    assert problems(retry_on) == {}
    assert wanted(retry_on, status, result, 1) is again


@pytest.mark.parametrize(
    ("retry_on", "path", "text"),
    [
        ([], "", "Expected an object."),
        ({}, "", "Name at least one of statuses, exit_codes, expression."),
        ({"statuses": ["completed"]}, "statuses", "Expected a list with members of failed, timeout."),
        ({"statuses": []}, "statuses", "Expected a list with members of failed, timeout."),
        ({"statuses": [["failed"]]}, "statuses", "Expected a list with members of failed, timeout."),
        ({"exit_codes": [True]}, "exit_codes", "Expected a list of whole numbers from -255 to 255."),
        ({"exit_codes": [256]}, "exit_codes", "Expected a list of whole numbers from -255 to 255."),
        ({"exit_codes": 75}, "exit_codes", "Expected a list of whole numbers from -255 to 255."),
        ({"expression": 1}, "expression", "Expected an expression."),
        ({"expression": "resul().x"}, "expression", "unknown function 'resul' (did you mean 'result'?)"),
        ({"expression": "event.x"}, "expression", "Unknown root 'event'; known: attempt, result, status."),
        ({"exit_codes": [1], "after": 3}, "after", "Unknown; known: statuses, exit_codes, expression."),
    ],
)
def test_what_can_t_be_judged_is_named(retry_on, path, text):
    assert problems(retry_on) == {path: [text]}
    with pytest.raises(RetryError, match=r"\w"):
        wanted(retry_on, "failed", FAILED, 1)


def test_an_expression_without_an_answer_is_an_error():
    with pytest.raises(RetryError, match="number / string is not defined"):
        wanted({"expression": "result().exit_code / 'x'"}, "failed", FAILED, 1)


@pytest.fixture
def _fails(monkeypatch):
    from executions.runners.job import Outcome

    monkeypatch.setattr("executions.worker.jobs.run", lambda *_: Outcome("failed", dict(FAILED)))


def attempt(worker):
    claimed = claim_one(worker)
    lifecycle.finish([perform(claimed, Control(), RunnerSettings())])


@pytest.mark.django_db
@pytest.mark.usefixtures("_fails")
@pytest.mark.parametrize(("codes", "attempts"), [([75], 3), ([1], 1)])
def test_the_worker_asks_the_action_that_it_claimed(make_action, worker, codes, attempts):
    action = make_action(max_retries=2, retry_on={"exit_codes": codes})
    [row_id] = request_executions([Wanted(action, {}, uuid.uuid4())])

    while Execution.objects.get(pk=row_id).finished_at is None:
        due_now()
        attempt(worker)

    assert Attempt.objects.filter(execution=row_id, status="failed").count() == attempts
    assert Execution.objects.get(pk=row_id).status == "failed"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("before", "least", "most"), [(6, 40, 90), (7, 90, 170), (9, 200, 330), (40, 200, 330)]
)
def test_each_attempt_waits_twice_as_long_and_no_more_than_five_minutes(
    make_action, worker, before, least, most
):
    action = make_action(max_retries=99)
    request_executions([Wanted(action, {}, uuid.uuid4()) for _ in range(20)])
    Execution.objects.update(retry_count=before)
    for _ in range(20):
        end(claim_one(worker), "failed")

    waits = [(row.due_at - row.updated).total_seconds() for row in Execution.objects.all()]

    assert all(least < wait <= most for wait in waits)
    assert len({round(wait, 1) for wait in waits}) > 1, "not all of them come back at once"


@pytest.mark.django_db
@pytest.mark.usefixtures("_fails")
def test_a_broken_expression_is_no_retry_and_says_why(make_action, worker):
    action = make_action(max_retries=2, retry_on={"expression": "result().error + 1"})
    [row_id] = request_executions([Wanted(action, {}, uuid.uuid4())])

    attempt(worker)

    execution = Execution.objects.get(pk=row_id)
    assert (execution.status, execution.retry_count) == ("failed", 0)
    assert execution.result["error"] == "x"
    assert execution.result["retry_error"].startswith("retry_on: ")
