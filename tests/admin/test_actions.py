"""What can be done on the admin's pages."""

import json

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from attune_project.console.models import HealthCheck
from attune_project.identity.models import PermissionSet
from executions.models import Artifact, Execution, Policy, Progress, Status
from rules.models import Rule, RuleVersion
from sensors.models import Event, Timer, Trigger
from tests.admin.conftest import page

READ = {"resource": "*", "actions": ["read"], "constraints": {"owner": "any"}}


def select(client, name, action, *rows):
    body = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(page(f"{name}_changelist"), body, follow=True)


def said(answer):
    return [str(message) for message in answer.context["messages"]]


@pytest.fixture
def reader(browser, identity_with):
    return browser(identity_with(READ))


def run_page(action):
    return f"/admin/executions/action/{action.pk}/run/"


def test_an_action_is_run(desk, action, administrator):
    asked = desk.get(run_page(action))
    answer = desk.post(run_page(action), {"parameters": '{"message": "hi"}'})

    made = Execution.objects.get()
    assert "Run demo.say now" in asked.content.decode()
    assert answer.headers["Location"] == page("executions_execution_change", made.pk)
    assert (made.config, made.executor_id, made.status) == (
        {"message": "hi"},
        administrator.pk,
        Status.SCHEDULED,
    )


@pytest.mark.parametrize("text", ["{", "[]", '{"a": NaN}', '{"a": "\\u0000"}', "[" * 20_000])
def test_bad_parameters_are_named(desk, action, text):
    answer = desk.post(run_page(action), {"parameters": text})

    assert answer.status_code == 200
    assert answer.context["form"].errors["parameters"]
    assert not Execution.objects.exists()


def test_no_parameters_are_an_empty_map(desk, action):
    desk.post(run_page(action), {"parameters": ""})

    assert Execution.objects.get().config == {}


def test_looking_at_the_page_runs_nothing_and_offers_the_defaults(desk, action):
    action.param_schema = {"message": {"type": "string", "default": "hello"}}
    action.save()

    answer = desk.get(run_page(action))

    assert "&quot;message&quot;: &quot;hello&quot;" in answer.content.decode()
    assert not Execution.objects.exists()


def rerun_page(execution):
    return f"/admin/executions/execution/{execution.pk}/rerun/"


def test_an_execution_is_run_again_with_changes(desk, chain, administrator):
    original = chain().execution
    asked = desk.get(rerun_page(original)).content.decode()
    body = {"parameters": '{"message": "bye"}', "reason": "they never heard it"}

    answer = desk.post(rerun_page(original), body)

    made = Execution.objects.latest("pk")
    assert f"Run execution {original.pk} again" in asked
    assert "&quot;message&quot;: &quot;hello&quot;" in asked
    assert answer.headers["Location"] == page("executions_execution_change", made.pk)
    assert (made.original_execution_id, made.rerun_reason, made.executor_id) == (
        original.pk,
        "they never heard it",
        administrator.pk,
    )
    assert made.config == {"message": "bye"}
    shown = desk.get(page("executions_execution_change", original.pk)).content.decode()
    assert page("executions_execution_change", made.pk) in shown


def test_a_secret_that_is_left_as_shown_stays_what_it_was(desk, chain, action):
    action.param_schema = {"message": {"type": "string"}, "token": {"type": "string", "secret": True}}
    action.save()
    original = chain().execution
    shown = desk.get(rerun_page(original)).context["form"]["parameters"].value()
    assert "s3cret" not in shown

    desk.post(rerun_page(original), {"parameters": shown.replace("hello", "bye")})

    assert Execution.objects.latest("pk").config == {"message": "bye", "token": "s3cret"}


def test_running_again_what_can_t_be_is_told(desk, chain, action):
    original = chain().execution
    action.delete()

    answer = desk.post(rerun_page(original), {"parameters": "{}"}, follow=True)

    assert said(answer) == ["Action demo.say does not exist any more."]
    assert Execution.objects.count() == 1


def test_running_again_needs_the_right_to_execute(reader, chain):
    original = chain().execution

    assert reader.get(rerun_page(original)).status_code == 403
    assert reader.post(rerun_page(original), {"parameters": "{}"}).status_code == 403
    assert "Run again" not in reader.get(page("executions_execution_change", original.pk)).content.decode()


def test_who_cancelled_and_why_is_kept(desk, chain, administrator):
    execution = chain().execution

    desk.post(f"/admin/executions/execution/{execution.pk}/cancel/", {"reason": "too late"})

    execution.refresh_from_db()
    assert (execution.status, execution.cancelled_by_id, execution.cancel_reason) == (
        "cancelled",
        administrator.pk,
        "too late",
    )
    shown = desk.get(page("executions_execution_change", execution.pk)).content.decode()
    assert "too late" in shown
    assert page("identity_identity_change", administrator.pk) in shown


def test_a_page_shows_progress_policy_and_logs(desk, chain):
    execution = chain().execution
    policy = Policy.objects.create(ref="demo.few", threshold=1)
    Execution.objects.filter(pk=execution.pk).update(policy=policy)
    Progress.objects.create(execution=execution, percent=40, text="unpacking")

    shown = desk.get(page("executions_execution_change", execution.pk)).content.decode()

    assert "40 % unpacking" in shown
    assert "demo.few" in shown
    assert page("executions_policy_change", policy.pk) in shown
    for stream in ("stdout", "stderr"):
        assert f'data-log-url="/api/v1/executions/{execution.pk}/logs/{stream}/stream"' in shown
    assert "/static/executions/log.js" in shown


def test_output_is_shown_as_a_log_and_not_in_the_result(desk, chain):
    execution = chain().execution
    result = {"exit_code": 3, "stdout": "a long story", "error": "no end"}
    Execution.objects.filter(pk=execution.pk).update(result=result)

    shown = desk.get(page("executions_execution_change", execution.pk)).content.decode()

    assert "no end" in shown
    assert "a long story" not in shown


def test_what_waits_says_at_which_place(desk, chain, action):
    Policy.objects.create(ref="demo.few", threshold=1, action_ref=action.ref)
    first, second = chain().execution, chain().execution

    listed = desk.get(page("executions_execution_changelist")).content.decode()
    shown = desk.get(page("executions_execution_change", second.pk)).content.decode()

    assert "(place 1 of 1)" in listed
    assert "(place 1 of 1)" in shown
    assert "(place " not in desk.get(page("executions_execution_change", first.pk)).content.decode()


def test_a_page_lists_what_an_execution_left(desk, browser, identity_with, chain):
    execution = chain().execution
    Artifact.objects.create(
        ref=f"execution.{execution.pk}.report", name="report.txt", type="file_text", execution=execution,
        last_version=1, owner_identity_id=execution.executor_id,
    )  # fmt: skip
    no_artifacts = [
        {"resource": "executions", "actions": ["read"], "constraints": {"owner": "any"}},
    ]

    shown = desk.get(page("executions_execution_change", execution.pk)).content.decode()
    hidden = browser(identity_with(*no_artifacts)).get(page("executions_execution_change", execution.pk))

    assert "report.txt" in shown
    assert f"/api/v1/artifacts/{Artifact.objects.get().pk}/download" in shown
    assert "report.txt" not in hidden.content.decode()


def test_running_needs_the_right(reader, action):
    assert reader.get(run_page(action)).status_code == 403
    assert reader.post(run_page(action), {"parameters": "{}"}).status_code == 403
    assert "Run now" not in reader.get(page("executions_action_change", action.pk)).content.decode()


def test_running_needs_the_right_to_this_action(browser, identity_with, action):
    others = {"resource": "actions", "actions": ["execute"], "constraints": {"refs": ["demo.other"]}}
    client = browser(identity_with(READ, others))

    answer = client.post(run_page(action), {"parameters": "{}"}, follow=True)

    assert said(answer) == ["Permission denied: actions:execute"]
    assert not Execution.objects.exists()


def test_executions_are_cancelled(desk, chain):
    first, second = chain().execution, chain().execution

    answer = select(desk, "executions_execution", "cancel", first)

    assert [row.status for row in Execution.objects.order_by("id")] == ["cancelled", "scheduled"]
    assert said(answer) == ["1 executions cancelled, or asked to stop."]
    assert second.pk > first.pk


def test_one_execution_is_cancelled_from_its_page(desk, chain):
    made = chain().execution
    address = f"/admin/executions/execution/{made.pk}/cancel/"

    asked = desk.get(address)
    desk.post(address)

    assert f"Execution {made.pk} of demo.say is scheduled" in asked.content.decode()
    made.refresh_from_db()
    assert made.status == "cancelled"


def test_an_execution_that_has_ended_stays_as_it_is(desk, chain):
    made = chain().execution
    desk.post(f"/admin/executions/execution/{made.pk}/cancel/")

    answer = desk.post(f"/admin/executions/execution/{made.pk}/cancel/", follow=True)

    assert said(answer)[-1] == "0 executions cancelled, or asked to stop."


def test_cancelling_needs_the_right(reader, browser, identity_with, chain):
    made = chain().execution
    own = {"resource": "executions", "actions": ["cancel"], "constraints": {"owner": "self"}}
    of_another = browser(identity_with(READ, own, login="other"))

    select(reader, "executions_execution", "cancel", made)
    answer = select(of_another, "executions_execution", "cancel", made)

    assert "Permission denied: executions:cancel" in said(answer)
    made.refresh_from_db()
    assert made.status == "scheduled"


@pytest.mark.parametrize("word", ["enable", "disable"])
def test_rules_are_switched_as_by_the_api(desk, make_rule, administrator, word):
    rule = make_rule(enabled=word == "disable")
    already = make_rule("demo.already", enabled=word == "enable")

    answer = select(desk, "rules_rule", word, rule, already)

    rule.refresh_from_db()
    assert rule.enabled is (word == "enable")
    assert rule.owner_identity == administrator
    assert said(answer) == [f"1 rules {word}d."]
    assert RuleVersion.objects.filter(rule_id=rule.pk).count() == 2
    assert RuleVersion.objects.filter(rule_id=already.pk).count() == 1


def test_nobody_enables_a_rule_with_rights_that_they_lack(browser, identity_with, make_rule):
    PermissionSet.objects.create(ref="core.wide", grants=[{"resource": "*", "actions": ["*"]}])
    rule = make_rule(enabled=False, permission_set_refs=["core.wide"])
    change = {"resource": "rules", "actions": ["update"], "constraints": {"owner": "any"}}

    answer = select(browser(identity_with(READ, change)), "rules_rule", "enable", rule)

    assert "demo.rule: Permission denied: permissions:assign" in said(answer)
    assert not Rule.objects.get().enabled


def test_switching_needs_the_right(reader, make_rule):
    rule = make_rule()

    select(reader, "rules_rule", "disable", rule)

    assert Rule.objects.get().enabled


def test_triggers_are_switched_with_their_timers(desk, make_rule, pack):
    timer = Trigger.objects.create(ref="core.intervaltimer", label="Interval", pack=pack, pack_ref="demo")
    make_rule(trigger=timer, trigger_ref=timer.ref, trigger_params={"interval": 5})

    select(desk, "sensors_trigger", "disable", timer)

    assert not Trigger.objects.get(pk=timer.pk).enabled
    assert not Timer.objects.get().enabled


def test_an_event_is_sent_again(desk, happen):
    event = happen({"a": 1}, dedup_key="once", config={"b": 2})
    address = f"/admin/sensors/event/{event.pk}/send-again/"

    desk.get(address)
    answer = desk.post(address)

    first, second = Event.objects.order_by("id")
    assert answer.headers["Location"] == page("sensors_event_change", second.pk)
    assert (second.payload, second.config, second.dedup_key) == ({"a": 1}, {"b": 2}, None)
    assert second.trace_id != first.trace_id


def test_events_are_sent_again_together(desk, happen):
    answer = select(desk, "sensors_event", "send_again", happen({"a": 1}), happen({"a": 2}))

    assert Event.objects.count() == 4
    assert said(answer)[0].startswith("2 events sent again")


def test_an_event_that_is_refused_now_says_why(desk, happen, trigger):
    event = happen()
    Trigger.objects.filter(pk=trigger.pk).update(enabled=False)

    answer = select(desk, "sensors_event", "send_again", event)

    assert said(answer) == ["Trigger demo.alarm is disabled"]
    assert Event.objects.count() == 1


def test_sending_needs_the_right(reader, happen):
    event = happen()

    select(reader, "sensors_event", "send_again", event)

    assert reader.post(f"/admin/sensors/event/{event.pk}/send-again/").status_code == 403
    assert Event.objects.count() == 1


@pytest.fixture
def rule_body(trigger, action):
    maps = {"conditions": "[]", "action_params": '{"message": "hi"}', "trigger_params": "{}"}
    names = {"pack": trigger.pack_id, "trigger": trigger.pk, "action": action.pk}
    return {"ref": "demo.new", "label": "New", "enabled": "on", "type": "standard", **names, **maps}


def test_a_rule_is_made(desk, rule_body, administrator):
    desk.post(page("rules_rule_add"), rule_body)

    rule = Rule.objects.get()
    assert (rule.ref, rule.pack_ref, rule.trigger_ref) == ("demo.new", "demo", "demo.alarm")
    assert (rule.conditions, rule.action_params) == ({}, {"message": "hi"})
    assert (rule.is_adhoc, rule.owner_identity) == (True, administrator)
    assert RuleVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("conditions", '[{"field": "a", "operator": "near"}]'),
        ("conditions", "{"),
        ("conditions", '[{"field": "a", "operator": "equals", "value": NaN}]'),
        ("conditions", "[" * 20_000),
        ("action_params", '{"message": "\\u0000"}'),
        ("action_params", '{"message": 7}'),
        ("trigger_params", "[1]"),
        ("action_params", "7"),
        ("ref", "other.new"),
        ("trigger", ""),
        ("action", ""),
    ],
)
def test_a_bad_rule_is_named_beside_its_field(desk, rule_body, name, value):
    answer = desk.post(page("rules_rule_add"), {**rule_body, name: value})

    assert answer.status_code == 200
    assert name in answer.context["adminform"].form.errors
    assert not Rule.objects.exists()


def test_a_rule_is_changed_and_its_secret_stays(desk, make_rule, rule_body):
    rule = make_rule(action_params={"message": "hi", "token": "s3cret"})
    address = page("rules_rule_change", rule.pk)
    shown = desk.get(address).context["adminform"].form.initial["action_params"]

    desk.post(address, {**rule_body, "action_params": json.dumps({**shown, "message": "ho"})})

    rule.refresh_from_db()
    assert (rule.ref, rule.label) == ("demo.rule", "New")
    assert rule.action_params == {"message": "ho", "token": "s3cret"}
    assert RuleVersion.objects.filter(rule_id=rule.pk).count() == 2


def test_a_rule_is_deleted_with_its_timer(desk, make_rule, pack):
    timer = Trigger.objects.create(ref="core.intervaltimer", label="Interval", pack=pack, pack_ref="demo")
    rule = make_rule(trigger=timer, trigger_ref=timer.ref, trigger_params={"interval": 5})

    desk.post(page("rules_rule_delete", rule.pk), {"post": "yes"})

    assert not Rule.objects.exists()
    assert not Timer.objects.exists()
    assert RuleVersion.objects.latest("id").definition["enabled"] is False


def test_a_reader_s_page_of_a_rule_hides_secrets(reader, make_rule):
    rule = make_rule(action_params={"message": "hi", "token": "s3cret"})

    text = reader.get(page("rules_rule_change", rule.pk)).content.decode()

    assert "hi" in text
    assert "s3cret" not in text
    assert reader.post(page("rules_rule_change", rule.pk), {}).status_code == 403


def test_a_rule_is_made_only_where_one_may(browser, identity_with, rule_body):
    there = {"resource": "rules", "actions": ["create"], "constraints": {"pack_refs": ["other"]}}

    answer = browser(identity_with(READ, there)).post(page("rules_rule_add"), rule_body)

    assert "pack" in answer.context["adminform"].form.errors
    assert not Rule.objects.exists()


def test_trouble_stands_on_every_page(desk, chain):
    made = chain()
    quiet = desk.get("/admin/").content.decode()
    HealthCheck.objects.create(
        name="probe:event.created", status="red", reason="<b>no answer</b>", since=made.event.created
    )

    pages = ["/admin/", page("rules_rule_changelist"), page("sensors_event_change", made.event.pk)]

    assert "red-checks" not in quiet
    for address in pages:
        text = desk.get(address).content.decode()
        assert "red-checks" in text
        assert "probe:event.created" in text
        assert "&lt;b&gt;no answer" in text


def test_strangers_learn_nothing_of_trouble(client, chain):
    HealthCheck.objects.create(name="probe:x", status="red", reason="why", since=chain().event.created)

    assert "red-checks" not in client.get("/admin/login/").content.decode()


@pytest.fixture
def task_body():
    every = IntervalSchedule.objects.create(every=5, period="seconds")
    texts = {"args": '["demo.alarm"]', "kwargs": "{}", "headers": "{}", "task": "attune.emit_event"}
    return {"name": "Mine", "enabled": "on", "interval": every.pk, "regtask": "", **texts}


def test_a_periodic_task_is_made(desk, task_body):
    answer = desk.post(page("django_celery_beat_periodictask_add"), task_body)

    assert answer.status_code == 302
    assert PeriodicTask.objects.get().task == "attune.emit_event"


def test_a_periodic_task_that_could_not_run_is_named(desk, task_body):
    answer = desk.post(page("django_celery_beat_periodictask_add"), {**task_body, "task": "their.task"})

    assert "queue" in answer.context["adminform"].form.errors
    assert not PeriodicTask.objects.exists()


def test_enabling_a_periodic_task_that_could_not_run_is_refused(desk):
    every = IntervalSchedule.objects.create(every=5, period="seconds")
    task = PeriodicTask.objects.create(name="Mine", task="their.task", interval=every, enabled=False)

    answer = select(desk, "django_celery_beat_periodictask", "enable_tasks", task)

    assert "Mine" in said(answer)[0]
    assert not PeriodicTask.objects.get().enabled


def test_periodic_tasks_are_for_those_who_manage_workers(reader, task_body):
    assert reader.get(page("django_celery_beat_periodictask_changelist")).status_code == 200
    assert reader.post(page("django_celery_beat_periodictask_add"), task_body).status_code == 403
