"""Sensors over HTTP."""

import pytest

from attune_project.packs.models import Pack, Runtime
from sensors.models import Sensor, Trigger

URL = "/api/v1/sensors"
ITEM = {
    "id", "created", "updated", "ref", "pack", "pack_ref", "label", "description", "entrypoint", "runtime",
    "runtime_ref", "trigger_refs", "enabled", "is_adhoc", "worker_selector", "worker_tolerations",
    "worker_affinity",
}  # fmt: skip


@pytest.fixture
def make_sensor(db):
    pack = Pack.objects.create(ref="demo", label="Demo", version="1.0.0")
    runtime = Runtime.objects.create(ref="core.shell", name="shell")

    def make(ref="demo.watch", **values):
        defaults = {
            "pack": pack, "pack_ref": "demo", "label": ref, "entrypoint": "watch.sh", "runtime": runtime,
            "runtime_ref": runtime.ref, "trigger_refs": ["demo.alarm"],
        }  # fmt: skip
        return Sensor.objects.create(ref=ref, **{**defaults, **values})

    return make


def refs(answer):
    return [row["ref"] for row in answer.json()["data"]]


def test_a_list_has_neither_schema_nor_config(api, make_sensor):
    make_sensor()

    assert api.get(URL).json()["data"][0].keys() == ITEM


def test_a_sensor_is_shown_without_its_secrets(api, make_sensor):
    schema = {"url": {}, "token": {"type": "string", "secret": True}}
    make_sensor(param_schema=schema, config={"url": "u", "token": "s3cr3t"})

    row = api.get(f"{URL}/demo.watch").json()["data"]

    assert row.keys() == ITEM | {"param_schema", "config"}
    assert row["config"] == {"url": "u", "token": {"$attune_secret": True, "redacted": True}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", ["demo.b", "demo.a"]),
        ("/enabled", ["demo.a"]),
        ("?enabled=false", ["demo.b"]),
        ("?pack_ref=other", []),
    ],
)
def test_lists(api, make_sensor, path, found):
    make_sensor("demo.a")
    make_sensor("demo.b", enabled=False)

    assert refs(api.get(URL + path)) == found


def test_the_sensors_of_a_trigger_and_of_a_pack(api, make_sensor):
    Trigger.objects.create(ref="demo.alarm", label="Alarm")
    make_sensor("demo.a")
    make_sensor("demo.b", trigger_refs=["demo.other"])

    assert refs(api.get("/api/v1/triggers/demo.alarm/sensors")) == ["demo.a"]
    assert refs(api.get("/api/v1/packs/demo/sensors")) == ["demo.b", "demo.a"]
    assert api.get("/api/v1/triggers/demo.gone/sensors").status_code == 404
    assert api.get("/api/v1/packs/gone/sensors").status_code == 404


def test_what_is_no_good_is_refused(api, make_sensor):
    assert api.get(f"{URL}/demo.gone").json()["code"] == "NOT_FOUND"
    assert api.get(f"{URL}?colour=red").json()["code"] == "UNKNOWN_FILTER"
    assert api.post(URL, {}, format="json").status_code == 405


def test_reading_needs_credentials_and_a_right(stranger, client_of, nobody, make_sensor):
    make_sensor()

    refused = client_of(nobody).get(URL)

    assert [stranger.get(URL + path).status_code for path in ("", "/enabled", "/demo.gone")] == [401] * 3
    assert (refused.status_code, refused.json()["error"]) == (403, "Permission denied: sensors:read")


def test_a_hidden_sensor_is_404(client_of, identity_with, make_sensor):
    make_sensor()
    grant = {"resource": "sensors", "actions": ["read"], "constraints": {"refs": ["demo.other"]}}
    client = client_of(identity_with(grant))

    assert refs(client.get(URL)) == []
    assert client.get(f"{URL}/demo.watch").status_code == 404
