"""Ends that are stored together."""

import uuid

import pytest

from executions import lifecycle
from executions.lifecycle import Ended
from executions.models import Attempt, Execution
from executions.requesting import Wanted, request_executions
from tests.executions.lives import claim_one, lapse

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("late_first", [True, False])
def test_a_late_end_stored_with_that_of_the_next_attempt_changes_neither(make_action, worker, late_first):
    action = make_action(idempotent=True, lost_worker_retries=1)
    (row_id,) = request_executions([Wanted(action, {}, uuid.uuid4())])
    before = claim_one(worker)
    lapse(row_id)
    lifecycle.expire(10)
    lifecycle.admit(10)
    now = claim_one(worker)
    ends = [
        Ended(before.id, before.token, "failed", {"exit_code": 1}),
        Ended(now.id, now.token, "completed", {"exit_code": 0}),
    ]

    lifecycle.finish(ends if late_first else ends[::-1])

    assert Execution.objects.get().status == "completed"
    statuses = Attempt.objects.order_by("number").values_list("status", flat=True)
    assert list(statuses) == ["abandoned", "completed"]
