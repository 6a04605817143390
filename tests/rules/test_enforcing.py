"""enforcement -> execution."""

import pytest

from attune_project.messaging.topology import EXECUTION_REQUESTED
from executions.models import Action, Execution, Status
from executions.policies import table
from rules.changes import delete_rule, save_rule, set_enabled
from rules.enforcing import enforce_pending
from rules.matching import match_pending
from rules.models import Enforcement


@pytest.fixture
def rule(make_rule, administrator):
    return make_rule(
        owner_identity=administrator, action_params={"message": "hi"}, permission_set_refs=["core.viewer"]
    )


@pytest.fixture
def enforcement(rule, happen):
    happen()
    match_pending(10)
    return Enforcement.objects.get()


def test_an_enforcement_becomes_an_execution(enforcement, rule, action):
    assert enforce_pending(10) == 1

    enforcement.refresh_from_db()
    made = Execution.objects.get()
    assert (enforcement.status, enforcement.execution_id) == ("processed", made.pk)
    assert (made.source_key, made.status) == (f"enforcement:{enforcement.pk}", Status.SCHEDULED)
    assert (made.rule_ref, made.trigger_ref, made.action_id) == ("demo.rule", "demo.alarm", action.pk)
    assert (made.config, made.trace_id) == ({"message": "hi"}, enforcement.trace_id)
    assert (made.executor_id, made.permission_set_refs) == (rule.owner_identity_id, ["core.viewer"])


def test_it_is_rung(enforcement, fake_publisher, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        enforce_pending(10)

    assert fake_publisher.rung(EXECUTION_REQUESTED) == [Execution.objects.get().pk]


def test_nothing_is_made_twice(enforcement):
    enforce_pending(10)
    Enforcement.objects.update(status="created", execution=None)

    assert enforce_pending(10) == 1

    enforcement.refresh_from_db()
    assert enforcement.execution_id == Execution.objects.get().pk


@pytest.mark.parametrize(
    "gone", ["rule off", "rule deleted", "trigger off", "trigger deleted", "action deleted"]
)
def test_what_is_gone_or_off_by_then_disables_it(enforcement, rule, trigger, action, gone):
    ends = {
        "rule off": lambda: set_enabled(rule, False),
        "rule deleted": lambda: delete_rule(rule),
        "trigger off": lambda: type(trigger).objects.update(enabled=False),
        "trigger deleted": trigger.delete,
        "action deleted": action.delete,
    }
    ends[gone]()

    assert enforce_pending(10) == 1

    enforcement.refresh_from_db()
    assert (enforcement.status, enforcement.execution_id) == ("disabled", None)
    assert enforcement.resolved_at is not None
    assert not Execution.objects.exists()


def test_a_rule_that_was_turned_off_and_on_again_goes_on(enforcement, rule):
    set_enabled(rule, False)
    set_enabled(rule, True)

    enforce_pending(10)

    enforcement.refresh_from_db()
    assert enforcement.status == "processed"


def test_the_action_is_that_of_the_version_that_decided(enforcement, rule, pack):

    rule.action = Action.objects.create(
        ref="demo.other", pack=pack, pack_ref="demo", label="o", entrypoint="o"
    )
    rule.action_ref = rule.action.ref
    save_rule(rule)

    enforce_pending(10)

    assert Execution.objects.get().action_ref == "demo.say"


def test_unfit_parameters_end_failed(make_rule, happen):
    make_rule(action_params={"message": "{{ event.payload.level }}"})
    happen({"level": 5})
    match_pending(10)

    enforce_pending(10)

    made = Execution.objects.get()
    assert made.status == Status.FAILED
    assert "message" in made.result["error"]


def test_no_more_than_asked(make_rule, happen):
    make_rule()
    for _ in range(3):
        happen()
    match_pending(10)

    assert [enforce_pending(2), enforce_pending(2), enforce_pending(2)] == [2, 1, 0]


def test_many_cost_as_many_statements_as_one(make_rule, happen, django_assert_max_num_queries):
    make_rule()
    for _ in range(20):
        happen()
    match_pending(100)
    table.current()  # read again only when a policy has changed, as other tests make it

    with django_assert_max_num_queries(8):
        assert enforce_pending(100) == 20
