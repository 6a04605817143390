"""Every page opens, costs a fixed number of queries, and shows no more than it may."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import NoReverseMatch

from attune_project.messaging.models import DeadLetter, MessageCount, MessageProbe, Step
from executions.models import Attempt, RuntimeEnvironment
from rules.changes import save_rule
from rules.models import RuleEvaluation, RuleVersion
from sensors.models import Event, Sensor, Trigger
from tests.admin.conftest import page

OURS = ("sensors", "executions", "rules", "packs", "identity", "messaging", "console")
# rows on the pages of their identity, of their permission set and of their execution
INLINE = {
    "PermissionAssignment", "IdentityRoleAssignment", "PermissionSetRoleAssignment", "Progress", "LogChunk",
    "ArtifactVersion", "ArtifactChunk",
}  # fmt: skip
MODELS = [
    model
    for model in apps.get_models()
    if model._meta.app_label in OURS and model._meta.object_name not in INLINE
]
READ_ONLY = {
    "sensors_event", "sensors_timer", "sensors_timerslot", "rules_enforcement", "rules_ruleversion",
    "rules_ruleevaluation", "executions_execution", "executions_attempt", "messaging_deadletter",
    "messaging_messageprobe", "messaging_messagecount", "messaging_step", "console_healthcheck",
    "packs_worker", "executions_runtimeenvironment",
}  # fmt: skip


def name_of(model):
    return f"{model._meta.app_label}_{model._meta.model_name}"


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_every_model_is_registered_and_its_list_opens(desk, chain, model):
    chain()

    assert model in admin.site._registry
    assert desk.get(page(f"{name_of(model)}_changelist")).status_code == 200


@pytest.mark.parametrize("name", ["periodictask", "crontabschedule", "intervalschedule", "clockedschedule"])
def test_the_pages_of_celery_beat_open(desk, name):
    assert desk.get(page(f"django_celery_beat_{name}_changelist")).status_code == 200
    assert desk.get(page(f"django_celery_beat_{name}_add")).status_code == 200


@pytest.mark.parametrize("name", sorted(READ_ONLY))
def test_history_is_only_read(desk, db, name):
    model = next(model for model in MODELS if name_of(model) == name)
    request = desk.get("/admin/").wsgi_request
    of_model = admin.site._registry[model]

    assert not of_model.has_add_permission(request)
    assert not of_model.has_change_permission(request)
    assert not of_model.has_delete_permission(request)


def rows_of_everything(made):
    timer = Trigger.objects.create(
        ref="core.intervaltimer", label="Interval", pack=made.rule.pack, pack_ref="demo"
    )
    rule = made.rule
    rule.trigger, rule.trigger_ref, rule.trigger_params = timer, timer.ref, {"interval": 5}
    save_rule(rule)
    RuleEvaluation.objects.create(
        event=made.event, rule=rule, rule_ref=rule.ref, rule_version=1, outcome="error", reason="why"
    )
    Attempt.objects.create(execution=made.execution, number=1, status="running", result={"a": 1})
    DeadLetter.objects.create(queue="q", exchange="e", routing_key="k", reason="rejected", body="{}")
    MessageProbe.objects.create(
        message_type="EventCreated", routing_key="event.created", service="web", sent_at=made.event.created
    )
    MessageCount.objects.create(name="published", label="event.created", outcome="ok")
    Step.objects.create(name="match")
    RuntimeEnvironment.objects.create(
        pack_ref="demo",
        runtime_ref="core.python",
        host="h",
        digest="d",
        status="failed",
        error="<b>",
        log="no",
    )


def test_every_row_s_page_opens(desk, chain):
    rows_of_everything(chain())

    for model in MODELS:
        for row in model._default_manager.all()[:3]:
            answer = desk.get(page(f"{name_of(model)}_change", row.pk))
            assert answer.status_code == 200, name_of(model)


@pytest.mark.parametrize(
    "name",
    [
        "sensors_event", "sensors_trigger", "rules_rule", "rules_enforcement", "rules_ruleversion",
        "executions_execution", "executions_action", "sensors_timer",
    ],
)  # fmt: skip
def test_a_list_costs_no_query_per_row(desk, chain, make_rule, django_assert_max_num_queries, name):
    for number in range(12):
        chain()
        make_rule(f"demo.extra{number}", enabled=False)

    with django_assert_max_num_queries(18):
        assert desk.get(page(f"{name}_changelist")).status_code == 200


def queries_of(desk, address, django_assert_max_num_queries):
    with django_assert_max_num_queries(50) as captured:
        desk.get(address)
    return len(captured)


@pytest.mark.parametrize("name", ["sensors_event", "rules_enforcement", "executions_execution"])
def test_ten_rows_cost_what_one_does(desk, chain, django_assert_max_num_queries, name):
    address = page(f"{name}_changelist")
    chain()
    one = queries_of(desk, address, django_assert_max_num_queries)
    for _ in range(10):
        chain()

    assert queries_of(desk, address, django_assert_max_num_queries) == one


@pytest.mark.parametrize("name", ["sensors_event", "rules_enforcement", "executions_execution"])
def test_lists_of_history_leave_large_columns_out(desk, chain, django_assert_max_num_queries, name):
    chain()

    with django_assert_max_num_queries(20) as captured:
        desk.get(page(f"{name}_changelist"))

    table = name.partition("_")[2]
    large = [f'"{table}"."{column}"' for column in ("payload", "config", "result", "conditions")]
    assert not [query["sql"] for query in captured if any(column in query["sql"] for column in large)]


def test_the_chain_is_linked_in_both_directions(desk, chain):
    made = chain()
    event, enforcement, execution = (
        page(f"{name}_change", row.pk)
        for name, row in [
            ("sensors_event", made.event),
            ("rules_enforcement", made.enforcement),
            ("executions_execution", made.execution),
        ]
    )

    links = {address: desk.get(address).content.decode() for address in (event, enforcement, execution)}

    assert f'href="{enforcement}"' in links[event]
    assert f'href="{execution}"' in links[event]
    assert f'href="{event}"' in links[enforcement]
    assert f'href="{execution}"' in links[enforcement]
    assert f'href="{enforcement}"' in links[execution]
    assert f'href="{event}"' in links[execution]


def test_lists_are_linked_too(desk, chain):
    made = chain()

    events = desk.get(page("sensors_event_changelist")).content.decode()
    executions = desk.get(page("executions_execution_changelist")).content.decode()

    assert page("rules_enforcement_change", made.enforcement.pk) in events
    assert page("rules_enforcement_change", made.enforcement.pk) in executions
    assert page("sensors_event_change", made.event.pk) in executions


def test_json_is_pretty_and_escaped(desk, chain):
    made = chain("<script>alert(1)</script>")

    text = desk.get(page("sensors_event_change", made.event.pk)).content.decode()

    assert "<script>alert(1)" not in text
    assert "{\n  &quot;text&quot;: &quot;&lt;script&gt;alert(1)&lt;/script&gt;&quot;" in text


def test_times_are_written_to_the_second(desk, chain):
    made = chain()

    text = desk.get(page("sensors_event_changelist")).content.decode()

    assert made.event.created.strftime("%Y-%m-%d %H:%M:%S") in text


def test_endless_json_is_cut(desk, chain):
    made = chain("x" * 300_000)

    assert len(desk.get(page("sensors_event_change", made.event.pk)).content) < 250_000


def test_secret_parameters_are_hidden(desk, chain):
    made = chain()

    for name, row in [("rules_enforcement", made.enforcement), ("executions_execution", made.execution)]:
        text = desk.get(page(f"{name}_change", row.pk)).content.decode()
        assert "hello" in text
        assert "s3cret" not in text


def test_a_literal_secret_of_a_rule_is_hidden_in_its_versions_too(desk, make_rule):
    rule = make_rule(action_params={"message": "hi", "token": "s3cret"})
    version = RuleVersion.objects.get(rule_id=rule.pk)

    texts = [
        desk.get(page(name, pk)).content.decode()
        for name, pk in [("rules_rule_change", rule.pk), ("rules_ruleversion_change", version.pk)]
    ]

    assert all("hi" in text and "s3cret" not in text for text in texts)


def test_a_webhook_key_is_for_those_who_may_change_the_trigger(
    browser, identity_with, administrator, trigger
):
    trigger.webhook_enabled, trigger.webhook_key = True, "wh_0123"
    trigger.webhook_config = {"hmac": {"enabled": False, "secret": "hush"}}
    trigger.save()
    reader = browser(identity_with({"resource": "triggers", "actions": ["read"]}))
    address = page("sensors_trigger_change", trigger.pk)

    read, changed = reader.get(address).content.decode(), browser(administrator).get(address).content.decode()

    assert ("wh_0123" in read, "wh_0123" in changed) == (False, True)
    assert "hush" not in read + changed
    assert "wh_0123" not in browser(administrator).get(page("sensors_trigger_changelist")).content.decode()


@pytest.mark.parametrize("term", ["id", "ref"])
def test_search_by_id_and_by_whole_ref(desk, chain, term):
    made = chain()
    words = {"id": made.event.pk, "ref": "demo.alarm"}

    hit = desk.get(page("sensors_event_changelist"), {"q": words[term]})
    miss = desk.get(page("sensors_event_changelist"), {"q": "demo.al"})

    assert hit.context["cl"].result_count == 1
    assert miss.context["cl"].result_count == 0


@pytest.mark.parametrize("term", ["9" * 40, "²", "'; --"])
def test_an_odd_search_finds_nothing(desk, chain, term):
    chain()

    assert desk.get(page("sensors_event_changelist"), {"q": term}).context["cl"].result_count == 0


@pytest.mark.parametrize("name", ["q", "status", "trigger_ref", "on"])
def test_nul_in_a_filter_is_refused(desk, name):
    assert desk.get(page("sensors_event_changelist"), {name: "a\x00"}).status_code == 400


def count_on(desk, text):
    return desk.get(page("sensors_event_changelist"), {"on": text}).context["cl"].result_count


def test_dates_drill_down(desk, chain):
    made = chain()
    Event.objects.filter(pk=made.event.pk).update(created="2024-02-29T13:30:00Z")
    chain()

    found = [count_on(desk, text) for text in ("2024", "2024-02", "2024-02-29", "2024-02-29T13", "2024-03")]

    assert found == [1, 1, 1, 1, 0]
    assert [count_on(desk, text) for text in ("2024-02-29T14", "2023", "odd", "9999", "0000")] == [
        0,
        0,
        2,
        2,
        2,
    ]


def test_dates_offer_what_lies_below(desk, chain):
    made = chain()
    Event.objects.filter(pk=made.event.pk).update(created="2024-02-29T13:30:00Z")

    choices = [
        [value for value, _ in desk.get(page("sensors_event_changelist"), {"on": text}).context["cl"]
         .filter_specs[0].lookup_choices]
        for text in ("", "2024", "2024-02", "2024-02-29", "2024-02-29T13")
    ]  # fmt: skip

    assert choices[0] == ["2024"]
    assert choices[1] == ["2024", "2024-02"]
    assert choices[3] == ["2024", "2024-02", "2024-02-29", "2024-02-29T13"]
    assert choices[4] == choices[3]


def test_filters_by_ref(desk, chain):
    chain()
    changelist = page("rules_enforcement_changelist")

    assert desk.get(changelist, {"rule_ref": "demo.rule"}).context["cl"].result_count == 1
    assert desk.get(changelist, {"rule_ref": "demo.other"}).context["cl"].result_count == 0
    assert desk.get(changelist, {"status": "processed"}).context["cl"].result_count == 1


def test_what_the_caller_may_not_read_is_not_there(browser, identity_with, chain):
    made = chain()
    elsewhere = {"actions": ["read"], "constraints": {"pack_refs": ["other"]}}
    grants = [{"resource": name, **elsewhere} for name in ("events", "executions", "enforcements", "rules")]
    client = browser(identity_with(*grants))

    for name in ("sensors_event", "executions_execution", "executions_attempt", "rules_enforcement",
                 "rules_ruleversion", "rules_rule", "sensors_timer", "sensors_timerslot"):  # fmt: skip
        assert client.get(page(f"{name}_changelist")).context["cl"].result_count == 0, name
    assert client.get(page("sensors_event_change", made.event.pk)).status_code == 302
    assert client.get(page("packs_worker_changelist")).status_code == 403


def test_the_sidebar_follows_the_path(desk, browser, nobody):
    groups = desk.get("/admin/").context["sidebar_navigation"]

    assert [group["title"] for group in groups] == ["Happens", "Decides", "Does", "House"]
    assert all(item["link"].startswith("/admin/") for group in groups for item in group["items"])
    titles = [item["title"] for group in browser(nobody).get("/admin/").context["sidebar_navigation"]
              for item in group["items"]]  # fmt: skip
    assert "Rules" not in titles


def test_no_page_is_named_that_is_not_there():
    from attune_project.console.sidebar import GROUPS, PAGES

    for _, entries in GROUPS:
        for _, name, _ in entries:
            try:
                page(name if name in PAGES else f"{name}_changelist")
            except NoReverseMatch:
                pytest.fail(name)


def test_a_sensor_s_page(desk, pack):
    from attune_project.packs.models import Runtime

    runtime = Runtime.objects.create(ref="core.shell", name="Shell")
    sensor = Sensor.objects.create(
        ref="demo.eye", label="Eye", entrypoint="eye.sh", runtime=runtime, runtime_ref="core.shell", pack=pack
    )

    assert desk.get(page("sensors_sensor_change", sensor.pk)).status_code == 200
