"""The core pack as it is shipped."""

import json

from attune_project.identity.models import PermissionSet
from attune_project.packs.loader import load_pack
from attune_project.packs.models import Pack, Runtime
from executions.models import Action
from rules.models import Rule
from sensors.models import Sensor, Timer, Trigger
from tests.packs.conftest import CORE

HTTP_PARAMETERS = {
    "url", "method", "headers", "body", "json_body", "query_params", "timeout", "verify_ssl", "auth_type",
    "auth_username", "auth_password", "auth_token", "follow_redirects", "max_redirects",
}  # fmt: skip
ALERT_FIELDS = {
    "severity", "category", "failure_type", "component_type", "component_id", "component_ref",
    "observed_at", "summary", "details", "correlation_id",
}  # fmt: skip


def test_it_loads_without_a_warning(core):
    assert core.warnings == []
    assert {folder: len(refs) for folder, refs in core.loaded.items()} == {
        "permission_sets": 4, "runtimes": 5, "triggers": 4, "actions": 4, "rules": 1, "sensors": 1,
    }  # fmt: skip


def test_the_pack_is_standard_and_knows_its_folder(core):
    pack = Pack.objects.get(ref="core")

    assert pack.is_standard
    assert pack.storage_path == str(CORE.resolve())
    assert len(pack.checksum) == 64


def test_runtimes_answer_to_their_aliases(core):
    aliases = dict(Runtime.objects.values_list("ref", "aliases"))

    assert aliases["core.shell"] == ["shell", "bash", "sh"]
    assert aliases["core.python"] == ["python", "python3"]
    assert aliases["core.node"] == ["node", "nodejs"]
    assert aliases["core.native"] == ["native"]


def test_actions_are_builtin_and_say_whether_they_are_idempotent(core):
    actions = Action.objects.values_list("ref", "runtime_ref", "idempotent", "is_adhoc")

    assert sorted(actions) == [
        ("core.echo", "core.builtin", True, False),
        ("core.http_request", "core.builtin", False, False),
        ("core.noop", "core.builtin", True, False),
        ("core.sleep", "core.builtin", True, False),
    ]


def test_http_request_has_the_parameters_of_the_contract(core):
    schema = Action.objects.get(ref="core.http_request").param_schema

    assert set(schema) == HTTP_PARAMETERS
    assert schema["url"]["required"] is True
    assert schema["auth_password"]["secret"] is schema["auth_token"]["secret"] is True
    assert schema["timeout"]["default"] == 30


def test_the_alert_trigger_has_the_fields_of_the_contract(core):
    assert set(Trigger.objects.get(ref="core.alert").out_schema) == ALERT_FIELDS


def test_the_timer_triggers_belong_to_the_timer_sensor(core):
    sensor = Sensor.objects.get(ref="core.timer_sensor")

    assert set(Trigger.objects.filter(sensor=sensor).values_list("ref", flat=True)) == {
        "core.intervaltimer", "core.crontimer", "core.datetimetimer",
    }  # fmt: skip


def test_the_canary_is_armed(core):
    rule = Rule.objects.get(ref="core.canary")

    timer = Timer.objects.get(rule=rule)
    assert rule.action_ref == "core.noop"
    assert timer.enabled
    assert timer.params == {"unit": "seconds", "interval": 60}


def test_loading_again_writes_nothing(core):
    before = everything()

    load_pack(CORE)

    assert everything() == before


def everything() -> str:
    models = (Pack, Runtime, Trigger, Action, Rule, Sensor, PermissionSet, Timer)
    rows = {model.__name__: list(model.objects.order_by("id").values()) for model in models}
    return json.dumps(rows, default=str)
