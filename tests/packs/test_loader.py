import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from attune_project.identity.models import PermissionSet
from attune_project.packs.loader import PackError, load_pack
from attune_project.packs.models import Pack
from executions.models import Action
from rules.models import Rule, RuleVersion
from sensors.models import Sensor, Timer, Trigger
from tests.packs.conftest import ACTION, RULE, TRIGGER


def test_a_pack_is_loaded_in_order(shop):
    report = shop.load()

    assert report.warnings == []
    assert report.loaded == {
        "triggers": ["shop.order"], "actions": ["shop.ship"], "rules": ["shop.ship_orders"],
    }  # fmt: skip
    rule = Rule.objects.get(ref="shop.ship_orders")
    assert rule.trigger.ref == "shop.order"
    assert rule.action.ref == "shop.ship"


def test_the_columns_come_from_the_keys(shop):
    shop.write(
        "actions/ship.yaml", ACTION + "timeout_seconds: 9\nmax_retries: 2\nretry_on: {exit_codes: [75]}\n"
    )

    shop.load()

    action = Action.objects.get(ref="shop.ship")
    assert (action.timeout_seconds, action.max_retries, action.retry_on) == (9, 2, {"exit_codes": [75]})
    assert (action.entrypoint, action.runtime_ref) == ("echo shipped", "core.shell")
    assert action.param_schema == {"order": {"type": "integer", "required": True}}


@pytest.mark.parametrize(
    ("entry", "runtime"),
    [("a.py", "core.python"), ("a.sh", "core.shell"), ("a.mjs", "core.node"), ("ls", "core.shell")],
)
def test_without_a_runner_type_the_extension_decides(shop, entry, runtime):
    shop.write("actions/ship.yaml", f"ref: shop.ship\nlabel: Ship\nentry_point: {entry}\n")

    shop.load()

    assert Action.objects.get(ref="shop.ship").runtime_ref == runtime


def test_runtime_version_is_a_demand_on_workers(shop):
    extra = 'runtime_version: ">=3.10"\nrequired_worker_runtimes: {node: ">=20"}\n'
    shop.write("actions/a.yaml", f"ref: shop.a\nlabel: A\nrunner_type: python3\nentry_point: a.py\n{extra}")

    shop.load()

    assert Action.objects.get(ref="shop.a").required_worker_runtimes == {"python": ">=3.10", "node": ">=20"}


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ("runtime_version: newest", "runtime_version: 'newest' is no version constraint"),
        ("required_worker_runtimes: {node: 20.1}", "required_worker_runtimes.node: expected text such as"),
        ("worker_selector: {gpus: 2}", "worker_selector.gpus: Expected text."),
        ("required_worker_runtimes: {ruby: '3'}", "required_worker_runtimes.ruby: no such runtime; one of"),
    ],
)
def test_a_demand_that_no_worker_could_meet_is_refused(shop, extra, reason):
    shop.write("actions/a.yaml", f"ref: shop.a\nlabel: A\nrunner_type: python3\nentry_point: a.py\n{extra}")

    report = shop.load()

    assert [one.reason[: len(reason)] for one in report.warnings] == [reason]
    assert not Action.objects.filter(ref="shop.a").exists()


def test_a_native_file_that_can_not_be_executed_is_remarked_on(shop):
    shop.write("actions/a.yaml", "ref: shop.a\nlabel: A\nrunner_type: native\nentry_point: tool\n")
    shop.write("actions/tool", "#!/bin/sh\n")

    report = shop.load()

    assert [one.reason for one in report.warnings] == [
        "entry_point: actions/tool is not executable: chmod +x makes it so"
    ]
    assert Action.objects.filter(ref="shop.a").exists()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("label: Shop\nversion: 1.0.0\n", "ref"),
        ("ref: Shop\nlabel: Shop\nversion: 1.0.0\n", "ref"),
        ("ref: shop\nlabel: Shop\n", "version"),
        ("ref: shop\nlabel: Shop\nversion: '1'\n", "version"),
        ("ref: shop\nversion: 1.0.0\n", "label"),
        ("ref: shop\nlabel: Shop\nversion: 1.0.0\ntags: x\n", "tags"),
        ("ref: shop\nlabel: Shop\nversion: 1.0.0\nconf_schema: {a: 1}\n", "conf_schema.a"),
        (
            "ref: shop\nlabel: Shop\nversion: 1.0.0\nconf_schema: {a: {type: integer}}\nconfig: {a: x}\n",
            "config.a",
        ),
        ("ref: [", ""),
        ("", ""),
    ],
)
def test_a_bad_pack_yaml_loads_nothing(shop, text, field):
    shop.write("pack.yaml", text)

    with pytest.raises(PackError) as caught:
        shop.load()

    assert caught.value.field == field
    assert str(caught.value).startswith("pack.yaml:")
    assert not Pack.objects.filter(ref="shop").exists()
    assert not Action.objects.filter(pack_ref="shop").exists()


def test_a_folder_without_pack_yaml_is_no_pack(db, tmp_path):
    with pytest.raises(PackError, match="there is no such file"):
        load_pack(tmp_path)


BAD_ACTIONS = [
    ("ship", ACTION + "idempotent: 'yes'\n", "7: idempotent: expected true or false"),
    ("ship", ACTION + "retry_on: {exit_codes: [x]}\n", "7: retry_on.exit_codes: Expected a list of whole"),
    (
        "ship",
        ACTION + "retry_on: {expression: 'nope()'}\n",
        "7: retry_on.expression: unknown function 'nope'",
    ),
    ("ship", ACTION.replace("shell", "perl"), "3: runner_type: no runtime 'perl'; one of core.builtin, "),
    ("ship", ACTION.replace("integer", "int"), "6: parameters.order.type: unknown type 'int'"),
    ("ship", ACTION.replace("shop.", "other."), "1: ref: expected shop.<name>"),
    ("ship", "label: x\n  y: 2\n", "2: not YAML"),
    ("flow", "ref: flow\nlabel: F\nworkflow_file: f.yaml\n", "3: workflow_file: workflows aren't built yet"),
    ("x", "ref: x\nlabel: X\n", "1: entry_point: is required"),
    ("x", "ref: x\nlabel: X\nrunner_type: builtin\nentry_point: rm\n", "4: entry_point: core.builtin has no"),
    ("two", ACTION, "1: ref: shop.ship is also in actions/ship.yaml"),
]
BAD_RULES = [
    ("ship_orders", RULE.replace("shop.order", "shop.x"), "3: trigger_ref: no trigger 'shop.x'"),
    ("ship_orders", RULE.replace("shop.ship\n", "nope\n"), "4: action_ref: no action 'shop.nope'"),
    ("ship_orders", RULE.replace("payload.id", "%"), "6: action_params.order: "),
    ("ship_orders", RULE.replace('"{{ event.payload.id }}"', "x"), "6: action_params.order: expected"),
    ("ship_orders", RULE + "permission_set_refs: [no.such]\n", "7: permission_set_refs[0]: no perm"),
    ("ship_orders", RULE + "type: last\n", "7: type: expected one of standard, backstop"),
]
SENSOR = "ref: s\nlabel: S\nrunner_type: sh\nentry_point: s\ntrigger_types: [x]\n"
GRANT = "ref: p\ngrants:\n- {resource: x, actions: [read]}\n"
BAD_OTHERS = [
    ("triggers/order", TRIGGER + "webhook: {hmac: {}}\n", "5: webhook.hmac: isn't built yet"),
    ("sensors/s", SENSOR, "5: trigger_types[0]: no trigger 'shop.x'"),
    ("runtimes/r", "ref: r\n", "1: name: is required"),
    ("permission_sets/p", GRANT, "3: grants[0]: unknown resource 'x'"),
]


@pytest.mark.parametrize(("name", "text", "reason"), BAD_ACTIONS)
def test_a_bad_action_is_skipped_and_named(refused, name, text, reason):
    assert f"actions/{name}.yaml:{reason}" in refused(f"actions/{name}.yaml", text)
    assert list(Action.objects.filter(pack_ref="shop").values_list("ref", flat=True)) in ([], ["shop.ship"])


@pytest.mark.parametrize(("name", "text", "reason"), BAD_RULES)
def test_a_bad_rule_is_skipped_and_named(refused, name, text, reason):
    assert f"rules/{name}.yaml:{reason}" in refused(f"rules/{name}.yaml", text)
    assert not Rule.objects.filter(pack_ref="shop").exists()
    assert Action.objects.filter(ref="shop.ship").exists()


@pytest.mark.parametrize(("path", "text", "reason"), BAD_OTHERS)
def test_another_bad_item_is_skipped_and_named(refused, path, text, reason):
    assert f"{path}.yaml:{reason}" in refused(f"{path}.yaml", text)


CONDITION = """\
conditions:
  all:
    - {field: id, operator: equals, value: 1}
    - {field: id, operator: like, value: 1}
"""


def test_a_bad_condition_is_named_with_its_line(refused):
    said = refused("rules/ship_orders.yaml", RULE + CONDITION)

    assert "rules/ship_orders.yaml:10: conditions.all[1].operator: unknown operator 'like'" in said
    assert not Rule.objects.filter(ref="shop.ship_orders").exists()


def test_bad_timer_parameters_are_named(refused):
    timer = "trigger_params: {interval: 0}\n"
    said = refused("rules/ship_orders.yaml", RULE.replace("shop.order", "core.intervaltimer") + timer)

    assert "rules/ship_orders.yaml:7: trigger_params.interval: must be a whole number" in said
    assert not Timer.objects.filter(rule__ref="shop.ship_orders").exists()


def test_a_bad_item_leaves_the_others(shop):
    shop.write("actions/bad.yaml", "ref: bad\nlabel: Bad\nentry_point: x\ntimeout_seconds: -1\n")

    report = shop.load()

    assert report.loaded["actions"] == ["shop.ship"]
    assert len(report.warnings) == 1


def test_an_unknown_key_is_named_and_the_item_loaded(shop):
    shop.write("actions/ship.yaml", ACTION + "colour: red\n")

    report = shop.load()

    assert [str(warning) for warning in report.warnings] == ["actions/ship.yaml:7: unknown key 'colour'"]
    assert Action.objects.filter(ref="shop.ship").exists()


def test_a_file_that_is_missing_is_remarked(shop):
    shop.write("actions/ship.yaml", ACTION.replace("echo shipped", "ship.sh"))

    report = shop.load()

    assert [str(warning) for warning in report.warnings] == [
        "actions/ship.yaml:4: entry_point: there is no file actions/ship.sh"
    ]
    assert Action.objects.filter(ref="shop.ship").exists()


def test_an_entry_point_outside_the_pack_is_refused(shop, tmp_path, refused):
    (tmp_path / "outside.sh").write_text("echo")

    said = refused("actions/ship.yaml", ACTION.replace("echo shipped", "../../outside.sh"))

    assert "entry_point: Entrypoint '../../outside.sh' lies outside" in said


def test_a_link_out_of_the_pack_is_not_read(shop, tmp_path):
    (tmp_path / "secret.yaml").write_text("password: x\n")
    (shop.path / "actions/link.yaml").symlink_to(tmp_path / "secret.yaml")

    report = shop.load()

    assert [str(warning) for warning in report.warnings] == [
        "actions/link.yaml:1: a link that leaves the pack's folder"
    ]


def test_loading_again_writes_no_version_of_an_unchanged_rule(shop):
    shop.load()
    shop.load()

    assert RuleVersion.objects.filter(rule_ref="shop.ship_orders").count() == 1


def test_a_changed_rule_gets_a_version(shop):
    shop.load()
    shop.write("rules/ship_orders.yaml", RULE + "conditions: [{field: id, operator: exists}]\n")

    shop.load()

    assert RuleVersion.objects.filter(rule_ref="shop.ship_orders").count() == 2


def test_what_vanished_is_deleted(shop):
    shop.load()
    shop.remove("rules/ship_orders.yaml")
    shop.remove("actions/ship.yaml")

    report = shop.load()

    assert report.deleted == {"rules": ["shop.ship_orders"], "actions": ["shop.ship"]}
    assert not Action.objects.filter(ref="shop.ship").exists()


def test_a_vanished_rule_takes_its_timer_along(shop):
    shop.write(
        "rules/ship_orders.yaml",
        RULE.replace("shop.order", "core.intervaltimer") + "trigger_params: {interval: 5}\n",
    )
    shop.load()
    rule = Rule.objects.get(ref="shop.ship_orders")
    shop.remove("rules/ship_orders.yaml")

    shop.load()

    assert not Timer.objects.filter(rule_id=rule.pk, enabled=True).exists()


def test_what_is_ad_hoc_stays(shop):
    shop.load()
    pack = Pack.objects.get(ref="shop")
    Action.objects.create(
        ref="shop.mine", pack=pack, pack_ref="shop", label="x", entrypoint="x", is_adhoc=True
    )

    report = shop.load()

    assert report.deleted == {}
    assert Action.objects.filter(ref="shop.mine").exists()


def test_a_file_does_not_take_over_what_is_ad_hoc(shop):
    shop.load()
    Action.objects.filter(ref="shop.ship").update(is_adhoc=True)

    report = shop.load()

    assert "ref: shop.ship was made through the API" in str(report.warnings[0])


def test_a_file_that_went_bad_does_not_delete_its_item(shop):
    shop.load()
    shop.write("actions/ship.yaml", "ref: [\n")

    report = shop.load()

    assert report.deleted == {}
    assert [str(warning) for warning in report.warnings] == [
        "actions/ship.yaml:2: not YAML: did not find expected node content",
        "actions/ship.yaml:1: may be one of shop.ship: so none of them was deleted",
    ]
    assert Action.objects.filter(ref="shop.ship").exists()


def test_a_file_without_a_ref_keeps_the_item_of_its_name_only(shop):
    shop.write("actions/pack.yaml", ACTION.replace("shop.ship", "shop.pack"))
    shop.load()
    shop.write("actions/ship.yaml", "settings: {}\n")
    shop.remove("actions/pack.yaml")

    report = shop.load()

    assert str(report.warnings[0]) == "actions/ship.yaml:1: ref: is required"
    assert report.deleted == {"actions": ["shop.pack"]}


def test_two_loads_do_not_wait_for_rules_that_are_being_saved(shop):
    shop.load()

    with CaptureQueriesContext(connection) as queries:
        shop.load()

    assert [query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]]
    assert not [query["sql"] for query in queries if "FOR UPDATE" in query["sql"]]


def test_what_an_operator_switched_off_stays_off(shop):
    shop.load()
    Rule.objects.filter(ref="shop.ship_orders").update(enabled=False)
    Trigger.objects.filter(ref="shop.order").update(enabled=False)
    shop.write("rules/ship_orders.yaml", RULE.replace("Ship orders", "Ship"))

    shop.load()

    assert not Rule.objects.get(ref="shop.ship_orders").enabled
    assert not Trigger.objects.get(ref="shop.order").enabled


def test_settings_that_an_operator_made_stay(shop):
    manifest = "ref: shop\nlabel: Shop\nversion: 1.0.0\nconfig: {region: eu, "
    shop.write("pack.yaml", manifest + "size: 1}\n")
    shop.load()
    Pack.objects.filter(ref="shop").update(config={"region": "us", "size": 1})
    shop.write("pack.yaml", manifest + "size: 2, depth: 3}\n")

    shop.load()

    assert Pack.objects.get(ref="shop").config == {"region": "us", "size": 1, "depth": 3}


def test_a_webhook_gets_its_key_once(shop):
    shop.write("triggers/order.yaml", TRIGGER + "webhook: {payload_size_limit_kb: 64}\n")
    shop.load()
    key = Trigger.objects.get(ref="shop.order").webhook_key

    shop.load()

    trigger = Trigger.objects.get(ref="shop.order")
    assert trigger.webhook_enabled
    assert trigger.webhook_key == key
    assert key.startswith("wh_")
    assert len(key) == 35
    assert trigger.webhook_config == {"payload_size_limit_kb": 64}


def test_a_sensor_owns_its_triggers(shop):
    shop.write(
        "sensors/s.yaml", "ref: s\nlabel: S\nrunner_type: python\nentry_point: s.py\ntrigger_types: [order]\n"
    )
    shop.load()
    assert Trigger.objects.get(ref="shop.order").sensor_ref == "shop.s"

    shop.remove("sensors/s.yaml")
    shop.load()

    assert Trigger.objects.get(ref="shop.order").sensor_ref is None
    assert not Sensor.objects.filter(ref="shop.s").exists()


def test_folders_that_are_not_built_yet_are_named(shop):
    shop.write("workflows/w.yaml", "ref: w\n")

    assert "workflows aren't built yet" in str(shop.load().warnings[0])


def test_the_checksum_follows_the_files(shop):
    shop.load()
    before = Pack.objects.get(ref="shop").checksum
    shop.write("actions/lib.sh", "echo\n")

    shop.load()

    assert Pack.objects.get(ref="shop").checksum != before


def test_a_person_owns_the_pack_and_makes_no_standard_one(shop, nobody):
    shop.write("pack.yaml", "ref: shop\nlabel: Shop\nversion: 1.0.0\nsystem: true\n")

    report = shop.load(owner=nobody)

    assert "pack.yaml:4: system: left out" in str(report.warnings[0])
    assert Pack.objects.get(ref="shop").owner == nobody
    assert not Pack.objects.get(ref="shop").is_standard


def test_a_person_hands_out_no_rights_by_a_pack(shop, nobody):
    shop.write("permission_sets/p.yaml", "ref: p\ngrants: [{resource: '*', actions: ['*']}]\n")
    shop.write("rules/ship_orders.yaml", RULE + "permission_set_refs: [core.admin]\n")

    report = shop.load(owner=nobody)

    assert [warning.reason for warning in report.warnings] == [
        "grants: Permission denied: permissions:assign",
        "permission_set_refs: Permission denied: permissions:assign",
    ]
    assert not PermissionSet.objects.filter(ref="shop.p").exists()
    assert not Rule.objects.filter(ref="shop.ship_orders").exists()


def test_an_administrator_hands_out_rights_by_a_pack(shop, administrator):
    shop.write("permission_sets/p.yaml", "ref: p\ngrants: [{resource: '*', actions: ['*']}]\n")

    report = shop.load(owner=administrator)

    assert report.warnings == []
    assert PermissionSet.objects.get(ref="shop.p").pack.ref == "shop"


def test_a_pack_declares_worker_pools(shop):
    shop.write("pack.yaml", (shop.path / "pack.yaml").read_text() + "worker_pools: [gpu, tape]\n")
    shop.write("actions/ship.yaml", ACTION + "worker_pool: gpu\n")

    report = shop.load()

    assert report.warnings == []
    assert Pack.objects.get(ref="shop").meta["worker_pools"] == ["gpu", "tape"]
    assert Action.objects.get(ref="shop.ship").worker_pool == "gpu"


@pytest.mark.parametrize("pool", ["a.b", "'x y'", "3"])
def test_the_name_of_a_pool_fits_a_queue(shop, pool):
    shop.write("actions/ship.yaml", ACTION + f"worker_pool: {pool}\n")

    (warning, *_) = shop.load().warnings

    assert (warning.file, warning.reason.partition(":")[0]) == ("actions/ship.yaml", "worker_pool")
