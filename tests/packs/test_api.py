import io
import random
import tarfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from attune_project.packs.config import MARKER
from attune_project.packs.models import Pack
from executions.models import Action, Execution
from rules.enforcing import enforce_pending
from rules.matching import match_pending
from rules.models import Rule, RuleVersion
from sensors.models import Event, Trigger
from sensors.recording import NewEvent, record_event
from tests.packs.conftest import ACTION, RULE, TRIGGER

URL = "/api/v1/packs"
GOOD = {"ref": "shop", "label": "Shop", "version": "1.0.0"}
MANIFEST = "ref: shop\nlabel: Shop\nversion: 1.0.0\n"


@pytest.fixture
def packs_dir(settings, tmp_path):
    settings.ATTUNE_PACKS_DIR = tmp_path / "packs"
    return settings.ATTUNE_PACKS_DIR


@pytest.fixture
def installer(identity_with, client_of):
    """A client that may install and configure packs, and no more."""
    actions = ["read", "create", "install", "configure", "delete"]
    return client_of(identity_with({"resource": "packs", "actions": actions}, login="installer"))


def archive(**files):
    buffer = io.BytesIO()
    written = {f"{name.replace('__', '/')}.yaml": text for name, text in files.items()}
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in {"pack.yaml": MANIFEST, **written}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return SimpleUploadedFile("shop.tar.gz", buffer.getvalue())


def upload(client, file, **values):
    return client.post(f"{URL}/upload", {"pack": file, **values}, format="multipart")


def test_a_pack_is_made_and_owned(api, administrator):
    answer = api.post(URL, {**GOOD, "tags": ["a"], "is_standard": True}, format="json")

    assert answer.status_code == 201
    pack = answer.json()["data"]
    assert pack["owner"] == administrator.pk
    assert pack["is_standard"] is False
    assert pack["config"] == pack["meta"] == pack["conf_schema"] == {}
    assert pack["storage_path"] is None


def test_a_detail_has_every_column(api):
    api.post(URL, GOOD, format="json")

    assert set(api.get(f"{URL}/shop").json()["data"]) == {
        "id", "ref", "label", "description", "version", "conf_schema", "config", "meta", "tags",
        "runtime_deps", "dependencies", "is_standard", "owner", "source_type", "source_url", "source_ref",
        "checksum", "storage_path", "created", "updated",
    }  # fmt: skip


def test_a_list_has_fewer(api, core):
    assert set(api.get(URL).json()["data"][0]) == {
        "id", "ref", "label", "description", "version", "tags", "is_standard", "created", "updated",
    }  # fmt: skip


def test_a_ref_is_unique(api):
    api.post(URL, GOOD, format="json")

    assert api.post(URL, GOOD, format="json").json()["code"] == "CONFLICT"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ref": "Shop"}, "ref"),
        ({"ref": "a.b"}, "ref"),
        ({"ref": "shop\n"}, "ref"),
        ({"ref": "a" * 256}, "ref"),
        ({"ref": None}, "ref"),
        ({"label": ""}, "label"),
        ({"label": 7}, "label"),
        ({"version": "1"}, "version"),
        ({"tags": "a"}, "tags"),
        ({"config": []}, "config"),
        ({"conf_schema": {"a": {"type": "strnig"}}}, "conf_schema.a.type"),
        ({"conf_schema": {"a": {"type": "integer"}}, "config": {"a": "x"}}, "config.a"),
    ],
)
def test_bad_values_are_named(api, change, field):
    answer = api.post(URL, {**GOOD, **change}, format="json")

    assert answer.status_code == 422
    assert field in answer.json()["details"]
    assert not Pack.objects.exists()


def test_a_put_is_partial_and_never_changes_the_ref(api):
    api.post(URL, GOOD, format="json")

    changed = api.put(f"{URL}/shop", {"label": "New", "ref": "shop"}, format="json").json()["data"]
    refused = api.put(f"{URL}/shop", {"ref": "other"}, format="json")

    assert (changed["label"], changed["version"]) == ("New", "1.0.0")
    assert refused.status_code == 422


def test_a_secret_setting_is_kept_and_never_shown(api):
    schema = {"token": {"type": "string", "secret": True}, "region": {"type": "string"}}
    api.post(URL, {**GOOD, "conf_schema": schema, "config": {"token": "t0p", "region": "eu"}}, format="json")
    shown = api.get(f"{URL}/shop").json()["data"]["config"]

    answer = api.put(f"{URL}/shop", {"config": {**shown, "region": "us"}}, format="json")

    assert shown == {"token": MARKER, "region": "eu"}
    assert "t0p" not in answer.content.decode()
    assert Pack.objects.get(ref="shop").config == {"token": "t0p", "region": "us"}


def test_a_merge_patch_changes_one_setting(api):
    schema = {"token": {"type": "string", "secret": True}}
    api.post(URL, {**GOOD, "conf_schema": schema, "config": {"token": "t0p", "a": 1, "b": 2}}, format="json")

    api.patch(f"{URL}/shop", {"config": {"a": 3, "b": None}}, format="json")

    assert Pack.objects.get(ref="shop").config == {"token": "t0p", "a": 3}


def test_standard_packs_come_first(api, core):
    api.post(URL, GOOD, format="json")

    assert [pack["ref"] for pack in api.get(URL).json()["data"]] == ["core", "shop"]


@pytest.mark.parametrize(
    ("query", "refs"),
    [
        ("is_standard=true", ["core"]),
        ("ref=shop,other", ["shop"]),
        ("tags=toys&tags=none", ["shop"]),
        ("search=SHO", ["shop"]),
        ("ordering=-ref", ["shop", "core"]),
    ],
)
def test_packs_are_filtered(api, core, query, refs):
    api.post(URL, {**GOOD, "tags": ["toys"]}, format="json")

    assert [pack["ref"] for pack in api.get(f"{URL}?{query}").json()["data"]] == refs


def test_an_unknown_filter_is_refused(api):
    assert api.get(f"{URL}?colour=red").json()["code"] == "UNKNOWN_FILTER"


def test_a_stranger_is_asked_for_credentials(stranger):
    for method, path in (
        ("get", ""),
        ("post", ""),
        ("post", "/upload"),
        ("post", "/register"),
        ("get", "/x"),
    ):
        assert getattr(stranger, method)(f"{URL}{path}").status_code == 401


def test_anybody_reads_standard_packs_only(nobody, client_of, core):
    Pack.objects.create(ref="hidden", label="x", version="1.0.0", owner=None)
    client = client_of(nobody)

    assert [pack["ref"] for pack in client.get(URL).json()["data"]] == ["core"]
    assert client.get(f"{URL}/hidden").status_code == 404
    assert client.put(f"{URL}/core", {"label": "x"}, format="json").status_code == 403
    assert client.delete(f"{URL}/core").status_code == 403
    assert client.post(URL, GOOD, format="json").json()["error"] == "Permission denied: packs:create"
    assert upload(client, archive()).json()["error"] == "Permission denied: packs:install"


def test_deleting_a_pack_deletes_what_is_in_it(api, shop):
    shop.load()

    answer = api.delete(f"{URL}/shop")

    assert answer.status_code == 200
    assert answer.json()["data"]["ref"] == "shop"
    for model in (Pack, Rule, Action, Trigger):
        assert not model.objects.filter(ref__startswith="shop").exists()


def test_history_keeps_its_refs(api, shop):
    shop.load()
    event = record_event(NewEvent("shop.order", {"id": 1})).id
    match_pending(10)
    enforce_pending(10)

    api.delete(f"{URL}/shop")

    execution = Execution.objects.get(enforcement__event_id=event)
    assert (execution.action_ref, execution.rule_ref) == ("shop.ship", "shop.ship_orders")
    assert Event.objects.get(pk=event).trigger_ref == "shop.order"
    assert RuleVersion.objects.filter(rule_ref="shop.ship_orders").count() == 2


def test_the_core_pack_stays(api, core):
    answer = api.delete(f"{URL}/core")

    assert answer.status_code == 409
    assert Action.objects.filter(ref="core.echo").exists()


def test_a_pack_whose_runtime_is_in_use_stays(api, core, shop):
    shop.write("runtimes/perl.yaml", "ref: perl\nname: perl\n")
    shop.load()
    other = shop.path.parent / "other"
    (other / "sensors").mkdir(parents=True)
    (other / "pack.yaml").write_text("ref: other\nlabel: O\nversion: 1.0.0\n")
    sensor = "ref: s\nlabel: S\nrunner_type: shop.perl\nentry_point: s\ntrigger_types: [core.alert]\n"
    (other / "sensors/s.yaml").write_text(sensor)
    shop.path = other
    shop.load()

    answer = api.delete(f"{URL}/shop")

    assert answer.status_code == 409
    assert answer.json()["error"] == "shop is needed by other.s"
    assert Action.objects.filter(ref="shop.ship").exists()


def test_an_upload_is_unpacked_and_loaded(api, core, packs_dir):
    answer = upload(api, archive(actions__ship=ACTION, triggers__order=TRIGGER, rules__ship_orders=RULE))

    assert answer.status_code == 201
    data = answer.json()["data"]
    assert data["warnings"] == []
    assert (data["test_result"], data["tests_skipped"]) == (None, True)
    assert data["pack"]["storage_path"] == str(packs_dir / "shop")
    assert data["pack"]["source_type"] == "upload"
    assert (packs_dir / "shop/actions/ship.yaml").read_text() == ACTION
    assert Rule.objects.get(ref="shop.ship_orders").enabled


def test_a_large_upload_goes_by_way_of_the_disk(api, core, packs_dir):
    answer = upload(api, archive(lib__noise=random.Random(1).randbytes(3 * 2**20).hex()))

    assert answer.status_code == 201


def test_nothing_temporary_is_left(api, core, packs_dir):
    upload(api, archive())

    assert sorted(path.name for path in packs_dir.iterdir()) == [".lock", "shop"]


def test_a_skipped_item_is_a_warning(api, core, packs_dir):
    answer = upload(api, archive(actions__bad="ref: bad\n"))

    assert answer.json()["data"]["warnings"] == [
        {"file": "actions/bad.yaml", "line": 1, "reason": "label: is required"}
    ]


def test_a_pack_that_is_there_is_replaced_by_force_only(api, core, packs_dir):
    upload(api, archive(actions__ship=ACTION))
    refused = upload(api, archive())

    replaced = upload(api, archive(), force="true")

    assert refused.json()["code"] == "CONFLICT"
    assert "force=true" in refused.json()["error"]
    assert replaced.status_code == 201
    assert not Action.objects.filter(ref="shop.ship").exists()
    assert not (packs_dir / "shop/actions").exists()


def test_a_folder_that_nobody_registered_is_not_overwritten(api, core, packs_dir):
    (packs_dir / "shop").mkdir(parents=True)
    (packs_dir / "shop/mine").write_text("x")

    assert upload(api, archive()).status_code == 409
    assert (packs_dir / "shop/mine").exists()


def test_a_failure_puts_back_what_was_there(api, core, packs_dir, monkeypatch):
    upload(api, archive(actions__ship=ACTION))

    def fail(*args, **options):
        raise RuntimeError("the database went away")

    monkeypatch.setattr("attune_project.packs.installing.load_pack", fail)
    answer = upload(api, archive(), force="true")

    assert answer.status_code == 500
    assert (packs_dir / "shop/actions/ship.yaml").read_text() == ACTION
    assert sorted(path.name for path in packs_dir.iterdir()) == [".lock", "shop"]


def test_a_bad_pack_yaml_is_400_and_leaves_nothing(api, core, packs_dir):
    bad = SimpleUploadedFile("x.tar.gz", archive().read())
    assert upload(api, bad).status_code == 201
    broken = archive(**{"pack": "ref: Bad\nlabel: x\nversion: 1.0.0\n"})

    answer = upload(api, broken, force="true")

    assert answer.status_code == 400
    assert "pack.yaml:1: ref: expected lower-case" in answer.json()["error"]
    assert (packs_dir / "shop/pack.yaml").read_text() == MANIFEST


@pytest.mark.parametrize("content", [b"", b"not an archive"])
def test_what_is_no_archive_is_400(api, packs_dir, content):
    answer = upload(api, SimpleUploadedFile("x.tar.gz", content))

    assert answer.status_code == 400
    assert "pack: not a tar.gz" in answer.json()["error"]


def test_an_upload_without_its_part_is_422(api, packs_dir):
    answer = api.post(f"{URL}/upload", {"force": "true"}, format="multipart")

    assert answer.status_code == 422
    assert "pack" in answer.json()["details"]


def test_json_is_no_upload(api):
    assert api.post(f"{URL}/upload", {"pack": "x"}, format="json").status_code == 415


def test_core_is_not_replaced(api, core, packs_dir):
    answer = upload(api, archive(pack="ref: core\nlabel: x\nversion: 1.0.0\n"), force="true")

    assert answer.status_code == 409
    assert Pack.objects.get(ref="core").label == "Core"


def test_a_person_may_not_replace_what_they_may_not_configure(core, packs_dir, installer, administrator):
    Pack.objects.create(ref="shop", label="Theirs", version="1.0.0", owner=administrator)

    answer = upload(installer, archive(), force="true")

    assert answer.status_code == 403
    assert Pack.objects.get(ref="shop").label == "Theirs"
    assert not (packs_dir / "shop").exists()


def test_a_person_owns_what_they_upload(core, packs_dir, installer):
    upload(installer, archive(pack=MANIFEST + "system: true\n"))

    pack = Pack.objects.get(ref="shop")
    assert pack.owner.login == "installer"
    assert not pack.is_standard


def test_deleting_an_uploaded_pack_deletes_its_files(
    api, core, packs_dir, django_capture_on_commit_callbacks
):
    upload(api, archive())

    with django_capture_on_commit_callbacks(execute=True):
        api.delete(f"{URL}/shop")

    assert not (packs_dir / "shop").exists()


@pytest.mark.parametrize("absolute", [True, False])
def test_a_folder_of_the_packs_folder_is_registered(
    api, core, packs_dir, absolute, django_capture_on_commit_callbacks
):
    (packs_dir / "here").mkdir(parents=True)
    (packs_dir / "here/pack.yaml").write_text(MANIFEST)
    path = str(packs_dir / "here") if absolute else "here"

    answer = api.post(f"{URL}/register", {"path": path}, format="json")

    assert answer.status_code == 201
    assert answer.json()["data"]["pack"]["storage_path"] == str(packs_dir / "here")
    with django_capture_on_commit_callbacks(execute=True):
        api.delete(f"{URL}/shop")
    assert (packs_dir / "here/pack.yaml").exists()


@pytest.mark.parametrize("path", ["..", ".", "", "/etc", "../../etc", "nowhere", "a\x00b", "link"])
def test_a_folder_outside_is_refused(api, core, packs_dir, path, tmp_path):
    packs_dir.mkdir()
    (tmp_path / "outside").mkdir()
    (packs_dir / "link").symlink_to(tmp_path / "outside")

    answer = api.post(f"{URL}/register", {"path": path}, format="json")

    assert answer.status_code == 422
    assert "path" in answer.json()["details"]


def test_registering_twice_needs_force(api, core, packs_dir):
    (packs_dir / "shop").mkdir(parents=True)
    (packs_dir / "shop/pack.yaml").write_text(MANIFEST)
    api.post(f"{URL}/register", {"path": "shop"}, format="json")

    again = api.post(f"{URL}/register", {"path": "shop"}, format="json")
    forced = api.post(f"{URL}/register", {"path": "shop", "force": True}, format="json")

    assert (again.status_code, forced.status_code) == (409, 201)


def test_runtimes_are_listed_and_shown(api, core):
    listed = api.get("/api/v1/runtimes?pack_ref=core&ordering=ref").json()["data"]
    shown = api.get("/api/v1/runtimes/core.shell").json()["data"]

    assert [runtime["ref"] for runtime in listed] == [
        "core.builtin", "core.native", "core.node", "core.python", "core.shell",
    ]  # fmt: skip
    assert shown["aliases"] == ["shell", "bash", "sh"]
    assert shown["distributions"] == shown["execution_config"] == {}


def test_runtimes_are_read_only(api, core):
    assert api.post("/api/v1/runtimes", {}, format="json").status_code == 405
    assert api.delete("/api/v1/runtimes/core.shell").status_code == 405


def test_the_runtimes_of_a_pack_are_listed(api, core, shop):
    shop.write("runtimes/perl.yaml", "ref: perl\nname: perl\n")
    shop.load()

    assert [row["ref"] for row in api.get(f"{URL}/shop/runtimes").json()["data"]] == ["shop.perl"]
    assert api.get(f"{URL}/none/runtimes").status_code == 404


@pytest.mark.parametrize("path", ["packs", "runtimes", "workers"])
def test_no_row_of_a_list_costs_a_query(api, core, path):
    with CaptureQueriesContext(connection) as queries:
        api.get(f"/api/v1/{path}")

    assert len(queries) <= 5
