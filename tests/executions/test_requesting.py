"""Making executions: defaults, parameter checks, pools, and one per source."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions.models import Execution
from executions.policies import table
from executions.requesting import Wanted, request_executions

pytestmark = pytest.mark.django_db
SCHEMA = {"host": {"type": "string", "required": True}, "port": {"type": "integer", "default": 22}}


def request(action, parameters=None, **values):
    (row_id,) = request_executions([Wanted(action, parameters or {}, uuid.uuid4(), **values)])
    return Execution.objects.get(pk=row_id)


def test_defaults_are_filled_in_and_unknown_parameters_passed_on(make_action):
    execution = request(make_action(param_schema=SCHEMA), {"host": "a", "extra": 1})

    assert execution.config == {"host": "a", "port": 22, "extra": 1}
    assert (execution.status, execution.status_reason) == (
        "scheduled",
        "waiting for a worker in pool default",
    )


@pytest.mark.parametrize(("parameters", "named"), [({}, "host"), ({"host": "a", "port": "x"}, "port")])
def test_unfit_parameters_make_a_run_that_has_failed_and_names_them(make_action, parameters, named):
    execution = request(make_action(param_schema=SCHEMA), parameters)

    assert execution.status == "failed"
    assert named in execution.result["error"]
    assert execution.finished_at is not None
    assert execution.scheduled_at is None


def test_one_source_makes_one_execution(make_action):
    action = make_action()

    first = request(action, source_key="enforcement:1")
    second = request(action, source_key="enforcement:1")

    assert first.pk == second.pk
    assert Execution.objects.count() == 1


def test_ids_stand_in_the_order_of_what_was_wanted(make_action):
    action = make_action()

    ids = request_executions([Wanted(action, {"n": n}, uuid.uuid4()) for n in range(20)])

    assert [Execution.objects.get(pk=row_id).config["n"] for row_id in ids] == list(range(20))


def test_many_executions_cost_as_many_queries_as_one(make_action):
    action = make_action()
    table.current()  # read once per process
    with CaptureQueriesContext(connection) as one:
        request_executions([Wanted(action, {}, uuid.uuid4())])
    with CaptureQueriesContext(connection) as many:
        request_executions([Wanted(action, {}, uuid.uuid4()) for _ in range(100)])

    assert len(many) == len(one)


def test_a_request_s_pool_wins_over_its_action_s(make_action):
    execution = request(make_action(worker_pool="slow"), worker_pool="fast")

    assert execution.worker_pool == "fast"


def test_permission_sets_of_the_request_win_over_the_action_s(make_action):
    action = make_action(default_execution_permission_set_refs=["core.viewer"])

    assert request(action).permission_set_refs == ["core.viewer"]
    assert request(action, permission_set_refs=["core.editor"]).permission_set_refs == ["core.editor"]


def test_nothing_wanted_is_nothing_made():
    assert request_executions([]) == []


def test_a_schema_that_cannot_be_applied_fails_its_own_execution_only(make_action, monkeypatch):
    good, bad = make_action(), make_action("demo.bad", param_schema=SCHEMA)

    def breaks(*_):
        raise LookupError("no such reference")

    monkeypatch.setattr("executions.requesting.schemas.Fitting", breaks)

    ids = request_executions([Wanted(one, {"host": "a"}, uuid.uuid4()) for one in (bad, good)])

    assert [Execution.objects.get(pk=row_id).status for row_id in ids] == ["failed", "scheduled"]
