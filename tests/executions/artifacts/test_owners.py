"""Whose an artifact is: of a pack, an action, a sensor or a person that is there."""

import pytest

from attune_project.packs.models import Runtime
from executions.models import Action, Artifact
from sensors.models import Sensor

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("core")]
URL = "/api/v1/artifacts"


def body(**values):
    return {"ref": "build.report", "scope": "action", "owner": "core.echo", "type": "file_text", **values}


@pytest.mark.parametrize(
    "values",
    [
        {"scope": "pack", "owner": "nothing"},
        {"scope": "action", "owner": "core.nothing"},
        {"scope": "sensor", "owner": "core.nothing"},
        {"scope": "identity", "owner": "nobody-here"},
    ],
)
def test_an_owner_that_is_not_there_is_not_found(api, values):
    answer = api.post(URL, body(**values), format="json")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert answer.json()["error"] == f"owner: no {values['scope']} {values['owner']!r}"
    assert Artifact.objects.count() == 0


@pytest.mark.parametrize(
    "values", [{"scope": "pack", "owner": "demo"}, {"scope": "sensor", "owner": "demo.sensor"}]
)
def test_an_owner_that_is_there_is_taken(api, pack, values):
    runtime = Runtime.objects.create(ref="demo.runtime", name="runtime")
    Sensor.objects.create(
        ref="demo.sensor", pack=pack, pack_ref="demo", label="s", entrypoint="s", runtime=runtime,
        runtime_ref=runtime.ref, trigger_refs=[],
    )  # fmt: skip

    assert api.post(URL, body(**values), format="json").json()["data"]["pack_ref"] == "demo"


def test_an_owner_that_has_gone_stays_until_another_is_named(api):
    row = api.post(URL, body(), format="json").json()["data"]
    path = f"{URL}/{row['id']}"
    Action.objects.filter(ref="core.echo").delete()

    assert api.put(path, {"owner": "core.echo", "name": "x"}, format="json").status_code == 200
    assert api.put(path, {"owner": "core.noop"}, format="json").status_code == 404


def test_a_hidden_owner_is_as_absent_as_any(client_of, identity_with, make_action):
    make_action("demo.x")
    client = client_of(identity_with({"resource": "artifacts", "actions": ["*"]}))

    assert client.post(URL, body(owner="demo.x"), format="json").status_code == 404
