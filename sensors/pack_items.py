"""How a pack's triggers and sensors are loaded."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attune_project.identity.models import Identity
from attune_project.packs import keys
from attune_project.packs.items import Item, Kind, store
from attune_project.packs.keys import ItemError, Key
from attune_project.packs.models import Pack
from attune_project.packs.pack_items import runtime_named
from sensors.changes import delete_trigger, new_webhook_key
from sensors.models import Sensor, Trigger

WEBHOOK_KEYS = {
    "enabled": Key(keys.flag, default=True),
    "payload_size_limit_kb": Key(keys.whole(1)),
}


def webhook(path: str, value: Any) -> dict[str, Any]:
    """Read `webhook: true`, or the map of contract 7.3; a guard that isn't built is refused, not ignored."""
    if isinstance(value, bool):
        return {"enabled": value}
    given = keys.mapping(path, value)
    for name in keys.unknown(WEBHOOK_KEYS, given):
        raise ItemError(f"{path}.{name}", f"isn't built yet; known: {', '.join(WEBHOOK_KEYS)}")
    try:
        return keys.take(WEBHOOK_KEYS, given)
    except ItemError as error:
        raise ItemError(f"{path}.{error.path}", error.reason) from None


TRIGGER_KEYS = {
    "label": Key(keys.text, required=True),
    "description": Key(keys.text),
    "enabled": Key(keys.flag, default=True),
    "parameters": Key(keys.schema, column="param_schema"),
    "output": Key(keys.schema, column="out_schema"),
    "webhook": Key(webhook, default=dict),
}
SENSOR_KEYS = {
    "label": Key(keys.text, required=True),
    "description": Key(keys.text),
    "runner_type": Key(keys.text, required=True),
    "entry_point": Key(keys.text, column="entrypoint", required=True),
    "trigger_types": Key(keys.texts, column="trigger_refs", required=True),
    "enabled": Key(keys.flag, default=True),
    "config": Key(keys.mapping),
    "parameters": Key(keys.schema, column="param_schema"),
    "worker_selector": Key(keys.labels, default=dict),
    "worker_tolerations": Key(keys.sequence, default=list),
    "worker_affinity": Key(keys.mapping, default=dict),
}


def load_trigger(item: Item) -> None:
    """Store a trigger; whether it is on, and its webhook, are the operator's after the first load."""
    row = Trigger.objects.filter(ref=item.ref).first() or Trigger()
    refuse_adhoc(row)
    columns = item.columns
    hook = columns.pop("webhook")
    if row.pk is not None:
        columns.pop("enabled")
    elif hook.pop("enabled", False):
        config = {name: value for name, value in hook.items() if value is not None}
        columns |= {"webhook_enabled": True, "webhook_key": new_webhook_key(), "webhook_config": config}
    store(row, columns)


def load_sensor(item: Item) -> list[str]:
    row = Sensor.objects.filter(ref=item.ref).first() or Sensor()
    refuse_adhoc(row)
    columns = item.columns
    runtime = runtime_named(columns.pop("runner_type"), item.pack.ref)
    if row.pk is not None:
        columns.pop("enabled")
    triggers = _triggers(columns["trigger_refs"], item.pack.ref)
    columns["trigger_refs"] = [trigger.ref for trigger in triggers]
    store(row, {**columns, "runtime_id": runtime.pk, "runtime_ref": runtime.ref})
    for trigger in triggers:
        if trigger.pack_ref == item.pack.ref:
            store(trigger, {"sensor_id": row.pk, "sensor_ref": row.ref})
    return _remarks(item.folder, row)


def refuse_adhoc(row: Any) -> None:
    """Keep a pack from taking over what somebody made through the API."""
    if row.pk is not None and row.is_adhoc:
        raise ItemError("ref", f"{row.ref} was made through the API; delete it there first")


def _triggers(refs: list[str], pack: str) -> list[Trigger]:
    wanted = [keys.qualified(ref, pack) for ref in refs]
    if not wanted:
        raise ItemError("trigger_types", "expected at least one trigger")
    known = {trigger.ref: trigger for trigger in Trigger.objects.filter(ref__in=wanted)}
    for index, ref in enumerate(wanted):
        if ref not in known:
            raise ItemError(f"trigger_types[{index}]", f"no trigger {ref!r}")
    return [known[ref] for ref in dict.fromkeys(wanted)]


def _remarks(folder: Path, sensor: Sensor) -> list[str]:
    if sensor.runtime_ref == "core.builtin" or (folder / "sensors" / sensor.entrypoint).is_file():
        return []
    return [f"entry_point: there is no file sensors/{sensor.entrypoint}"]


def _trigger_rows(pack: Pack) -> Iterable[Trigger]:
    return Trigger.objects.filter(pack=pack)


def _sensor_rows(pack: Pack) -> Iterable[Sensor]:
    return Sensor.objects.filter(pack=pack)


def _remove_trigger(row: Trigger, by: Identity | None) -> None:
    delete_trigger(row)


def _remove_sensor(row: Sensor, by: Identity | None) -> None:
    Trigger.objects.filter(sensor=row).update(sensor_ref=None)
    row.delete()


TRIGGERS = Kind("triggers", TRIGGER_KEYS, load_trigger, _trigger_rows, _remove_trigger)
SENSORS = Kind("sensors", SENSOR_KEYS, load_sensor, _sensor_rows, _remove_sensor)
