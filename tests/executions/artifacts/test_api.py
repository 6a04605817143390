"""Artifacts over HTTP."""

import hashlib
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils.dateparse import parse_datetime

from executions.artifacts.collecting import collect
from executions.models import Artifact, ArtifactChunk, ArtifactVersion, Execution

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("core")]
URL = "/api/v1/artifacts"
ITEM = {
    "id", "created", "updated", "ref", "scope", "owner", "owner_identity", "pack_ref", "type", "visibility",
    "name", "description", "content_type", "size_bytes", "retention_policy", "retention_limit",
    "last_version", "expires_at", "execution",
}  # fmt: skip
VERSION = {
    "id", "created", "updated", "artifact", "version", "content_type", "size_bytes", "sha256", "meta",
    "created_by", "execution", "expires_at",
}  # fmt: skip


def body(**values):
    return {"ref": "build.report", "scope": "action", "owner": "core.echo", "type": "file_text", **values}


@pytest.fixture
def make(api):
    """Make an artifact over HTTP; return what is answered."""

    def make(**values):
        answer = api.post(URL, body(**values), format="json")
        assert answer.status_code == 201, answer.json()
        return answer.json()["data"]

    return make


def upload(client, row, content=b"hello", name="a.txt", **values):
    file = SimpleUploadedFile(name, content)
    return client.post(f"{URL}/{row['id']}/versions/upload", {"file": file, **values}, format="multipart")


def refs(answer):
    return {row["ref"] for row in answer.json()["data"]}


def test_an_artifact_is_made_shown_and_found_by_its_ref(api, administrator, make):
    row = make(name="Report", description="What was built")

    assert row.keys() == ITEM | {"data"}
    assert (row["visibility"], row["retention_policy"], row["retention_limit"]) == ("private", "versions", 5)
    assert (row["owner_identity"], row["pack_ref"], row["last_version"]) == (administrator.pk, "core", 0)
    assert api.get(f"{URL}/{row['id']}").json()["data"] == row
    assert api.get(f"{URL}/ref/build.report").json()["data"] == row
    assert api.get(URL).json()["data"][0].keys() == ITEM


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"ref": "Up.Case"}, "ref"),
        ({"ref": "a..b"}, "ref"),
        ({"ref": ""}, "ref"),
        ({"ref": "x" * 256}, "ref"),
        ({"ref": "a/b"}, "ref"),
        ({"scope": "galaxy"}, "scope"),
        ({"owner": "core"}, "owner"),
        ({"scope": "pack", "owner": "core.echo"}, "owner"),
        ({"owner": "core.Echo"}, "owner"),
        ({"type": "movie"}, "type"),
        ({"visibility": "secret"}, "visibility"),
        ({"retention_policy": "weeks"}, "retention_policy"),
        ({"retention_limit": 0}, "retention_limit"),
        ({"retention_limit": 10**9}, "retention_limit"),
        ({"content_type": "text"}, "content_type"),
        ({"content_type": "text/html\r\nX: y"}, "content_type"),
        ({"type": "url", "data": "javascript:alert(1)"}, "data"),
        ({"type": "url", "data": {"link": "x"}}, "data"),
        ({"type": "progress", "data": {"percent": 1}}, "data"),
    ],
)
def test_bad_values_are_named(api, values, field):
    answer = api.post(URL, body(**values), format="json")

    assert answer.status_code == 422
    assert field in answer.json()["details"]


@pytest.mark.parametrize("name", ["ref", "scope", "owner", "type"])
def test_what_is_needed_is_asked_for(api, name):
    answer = api.post(URL, {key: value for key, value in body().items() if key != name}, format="json")

    assert answer.status_code == 422
    assert name in answer.json()["details"]


def test_a_ref_is_taken_once(api, make):
    make()

    assert api.post(URL, body(), format="json").status_code == 409


def test_what_is_absent_is_404(api):
    for path in ("9", "9/data", "9/versions", "9/versions/latest", "9/versions/1", "9/versions/1/download",
                 "9/download", "ref/no.such", "x", "99999999999999999999"):  # fmt: skip
        assert api.get(f"{URL}/{path}").status_code == 404, path
    assert api.delete(f"{URL}/9").status_code == 404
    assert api.put(f"{URL}/9/data", {"data": 1}, format="json").status_code == 404
    assert upload(api, {"id": 9}).status_code == 404


def test_an_artifact_is_changed_but_for_what_it_is(api, make):
    row = make(name="Report")

    changed = api.put(
        f"{URL}/{row['id']}",
        {"visibility": "public", "name": {"op": "clear"}, "scope": "system"},
        format="json",
    )

    assert changed.status_code == 200
    after = changed.json()["data"]
    assert (after["visibility"], after["name"], after["pack_ref"]) == ("public", None, None)
    for values in ({"ref": "other"}, {"type": "url"}):
        assert api.put(f"{URL}/{row['id']}", values, format="json").status_code == 422
    assert api.put(f"{URL}/{row['id']}", {"ref": row["ref"]}, format="json").status_code == 200
    patched = api.patch(f"{URL}/{row['id']}", {"description": "x"}, format="json")
    assert patched.json()["data"]["description"] == "x"


def test_an_artifact_goes_with_its_contents(api, make):
    row, other = make(), make(ref="other")
    upload(api, row)
    upload(api, other)

    answer = api.delete(f"{URL}/{row['id']}")

    assert answer.json()["data"] == {"id": row["id"], "ref": "build.report"}
    assert ArtifactVersion.objects.get().artifact_id == other["id"]
    assert ArtifactChunk.objects.count() == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("scope=system", {"b"}),
        ("owner=core.echo", {"a", "c"}),
        ("type=url,other", {"b", "c"}),
        ("visibility=public", {"c"}),
        ("name=Report", {"a"}),
        ("ref=a&ref=b", {"a", "b"}),
        ("scope=system&type=url", set()),
        ("execution=4", set()),
    ],
)
def test_lists_are_filtered(api, make, query, found):
    make(ref="a", name="Report")
    make(ref="b", scope="system", owner="", type="other")
    make(ref="c", type="url", visibility="public", data="https://example.org")

    assert refs(api.get(f"{URL}?{query}")) == found


@pytest.mark.parametrize(
    ("query", "code"),
    [("size=3", "UNKNOWN_FILTER"), ("type=movie", "BAD_REQUEST"), ("execution=x", "BAD_REQUEST")],
)
def test_bad_filters_are_named(api, query, code):
    answer = api.get(f"{URL}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_values_are_set_and_read(api, make):
    row = make(type="other", data={"n": 1})

    put = api.put(f"{URL}/{row['id']}/data", {"data": [1, {"two": None}]}, format="json")

    assert put.json()["data"]["data"] == [1, {"two": None}]
    assert api.get(f"{URL}/{row['id']}/data").json() == {"data": [1, {"two": None}]}
    assert api.put(f"{URL}/{row['id']}/data", {"value": 1}, format="json").status_code == 422


def test_a_url_is_one(api, make):
    row = make(type="url", data="https://example.org/a")

    assert row["data"] == {"url": "https://example.org/a"}
    bad = api.put(f"{URL}/{row['id']}/data", {"data": "ftp://x"}, format="json")
    assert bad.status_code == 422


def test_progress_grows(api, make, monkeypatch):
    row = make(type="progress")

    assert row["data"] == []
    api.post(f"{URL}/{row['id']}/progress", {"entry": {"percent": 1}}, format="json")
    answer = api.post(f"{URL}/{row['id']}/progress", {"percent": 2, "text": "x"}, format="json")
    assert answer.json()["data"]["data"] == [{"percent": 1}, {"percent": 2, "text": "x"}]
    assert api.post(f"{URL}/{row['id']}/progress", {}, format="json").status_code == 422
    monkeypatch.setattr("executions.api.artifacts.MOST_ENTRIES", 2)
    assert api.post(f"{URL}/{row['id']}/progress", {"entry": 3}, format="json").status_code == 422


def test_only_progress_grows(api, make):
    answer = api.post(f"{URL}/{make()['id']}/progress", {"entry": 1}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


def test_a_file_is_uploaded_as_a_version(api, administrator, make):
    row = make()

    answer = upload(api, row, b"a,b\n", "t.csv", meta='{"k": 1}')

    version = answer.json()["data"]
    assert answer.status_code == 201
    assert version.keys() == VERSION | {"content"}
    assert (version["version"], version["size_bytes"], version["content_type"]) == (1, 4, "text/csv")
    assert version["sha256"] == hashlib.sha256(b"a,b\n").hexdigest()
    assert (version["meta"], version["created_by"]) == ({"k": 1}, administrator.login)
    after = api.get(f"{URL}/{row['id']}").json()["data"]
    assert (after["last_version"], after["size_bytes"], after["content_type"]) == (1, 4, "text/csv")


def test_the_uploader_may_say_what_it_is(api, make):
    assert upload(api, make(), content_type="text/x-log").json()["data"]["content_type"] == "text/x-log"


def test_bad_uploads_are_refused(api, make, settings):
    row = make()
    path = f"{URL}/{row['id']}/versions/upload"
    settings.ATTUNE_ARTIFACT_MAX_MB = 1

    assert api.post(path, {}, format="multipart").status_code == 422
    assert api.post(path, {"file": "text"}, format="multipart").status_code == 422
    assert api.post(path, {"file": 1}, format="json").status_code == 415
    assert upload(api, row, meta="[1]").status_code == 422
    assert upload(api, row, meta="{").status_code == 422
    assert upload(api, row, content_type="x").status_code == 422
    assert upload(api, row, bytes(1024 * 1024 + 1)).status_code == 413
    assert upload(api, row, b"").status_code == 201
    assert ArtifactVersion.objects.count() == 1


def test_a_value_is_a_version_too(api, make):
    row = make(type="other")

    answer = api.post(f"{URL}/{row['id']}/versions", {"content": {"é": [1]}}, format="json")

    assert answer.status_code == 201
    assert answer.json()["data"]["content"] == {"é": [1]}
    assert api.get(f"{URL}/{row['id']}/versions/1").json()["data"]["content"] == {"é": [1]}
    answer = api.get(f"{URL}/{row['id']}/download")
    assert b"".join(answer.streaming_content) == '{"é": [1]}'.encode()
    assert api.post(f"{URL}/{row['id']}/versions", {}, format="json").status_code == 422


def test_a_text_of_another_type_is_stored_as_it_is(api, make):
    row = make()
    api.post(
        f"{URL}/{row['id']}/versions", {"content": "# hi", "content_type": "text/markdown"}, format="json"
    )

    answer = api.get(f"{URL}/{row['id']}/download")

    assert b"".join(answer.streaming_content) == b"# hi"
    assert answer["Content-Type"] == "text/markdown"


@pytest.mark.parametrize("values", [{"type": "url", "data": "https://x.org"}, {"type": "progress"}])
def test_what_has_data_has_no_versions(api, make, values):
    row = make(**values)

    assert upload(api, row).status_code == 400
    assert api.post(f"{URL}/{row['id']}/versions", {"content": 1}, format="json").status_code == 400


def test_versions_are_listed_newest_first(api, make):
    row = make()
    for text in (b"1", b"22", b"333"):
        upload(api, row, text)

    answer = api.get(f"{URL}/{row['id']}/versions?per_page=2")

    assert [one["version"] for one in answer.json()["data"]] == [3, 2]
    assert answer.json()["pagination"]["total_items"] == 3
    assert answer.json()["data"][0].keys() == VERSION
    assert api.get(f"{URL}/{row['id']}/versions/latest").json()["data"]["version"] == 3
    assert api.get(f"{URL}/{row['id']}/versions/2").json()["data"]["size_bytes"] == 2
    assert api.get(f"{URL}/{row['id']}/versions/4").status_code == 404


def test_the_newest_versions_are_kept(api, make):
    row = make(retention_limit=2)
    for text in (b"1", b"22", b"333"):
        upload(api, row, text)

    assert sorted(ArtifactVersion.objects.values_list("version", flat=True)) == [2, 3]
    api.put(f"{URL}/{row['id']}", {"retention_limit": 1}, format="json")
    assert ArtifactVersion.objects.get().version == 3


def test_a_policy_of_time_says_when_it_is_over(api, make):
    row = make(retention_policy="hours", retention_limit=3)
    version = upload(api, row).json()["data"]

    for one in (api.get(f"{URL}/{row['id']}").json()["data"], version):
        left = parse_datetime(one["expires_at"]) - parse_datetime(one["created"])
        assert timedelta(hours=3) <= left < timedelta(hours=4)
    after = api.put(f"{URL}/{row['id']}", {"retention_policy": "versions"}, format="json").json()["data"]
    assert after["expires_at"] is None
    assert ArtifactVersion.objects.get().expires_at is None


def test_a_version_is_deleted_and_its_number_never_given_again(api, make):
    row = make()
    upload(api, row, b"1")
    upload(api, row, b"22")

    answer = api.delete(f"{URL}/{row['id']}/versions/2")

    assert answer.status_code == 200
    assert api.get(f"{URL}/{row['id']}").json()["data"]["size_bytes"] == 1
    assert upload(api, row, b"333").json()["data"]["version"] == 3


def test_the_artifacts_of_an_execution(api, run, left, make):
    (left.path / "report.txt").write_text("x")
    collect(run, left)
    make(ref="other")

    answer = api.get(f"/api/v1/executions/{run.id}/artifacts")

    assert refs(answer) == {f"execution.{run.id}.report.txt"}
    assert refs(api.get(f"{URL}?execution={run.id}")) == refs(answer)
    assert api.get(f"/api/v1/executions/{run.id}/artifacts?name=y").json()["pagination"]["total_items"] == 0
    assert api.get("/api/v1/executions/0/artifacts").status_code == 404
    assert api.get("/api/v1/executions/x/artifacts").status_code == 404


def test_an_artifact_may_be_of_an_execution(api, run, make):
    assert make(execution=run.id)["execution"] == run.id
    assert api.post(URL, body(ref="b", execution=run.id + 1), format="json").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", ""), ("post", ""), ("get", "/1"), ("put", "/1"), ("delete", "/1"), ("get", "/ref/a"),
        ("post", "/1/progress"), ("get", "/1/data"), ("put", "/1/data"), ("get", "/1/versions"),
        ("post", "/1/versions"), ("post", "/1/versions/upload"), ("post", "/1/versions/file"),
        ("get", "/1/versions/latest"), ("get", "/1/versions/1"), ("delete", "/1/versions/1"),
        ("get", "/1/versions/1/download"), ("get", "/1/download"), ("get", "/1/stream"),
    ],
)  # fmt: skip
def test_strangers_and_who_has_no_right_are_refused(stranger, client_of, nobody, method, path):
    assert getattr(stranger, method)(f"{URL}{path}").status_code == 401
    assert getattr(client_of(nobody), method)(f"{URL}{path}").status_code == 403


def test_rows_of_executions_are_for_who_may_read_those(stranger, client_of, nobody, identity_with, run):
    Artifact.objects.create(ref="x", type="other", execution_id=run.id)
    path = f"/api/v1/executions/{run.id}/artifacts"
    reader = identity_with({"resource": "executions", "actions": ["read"], "constraints": {"owner": "any"}})

    assert stranger.get(path).status_code == 401
    assert client_of(nobody).get(path).status_code == 403
    assert client_of(reader).get(path).json()["data"] == []


def test_private_ones_are_hidden_and_public_ones_only_read(api, client_of, identity_with, make):
    hidden, shown = make(ref="hidden"), make(ref="shown", visibility="public")
    upload(api, hidden)
    upload(api, shown)
    client = client_of(identity_with({"resource": "artifacts", "actions": ["*"]}))

    assert refs(client.get(URL)) == {"shown"}
    for path in ("", "/data", "/versions", "/versions/1", "/download", "/versions/1/download"):
        assert client.get(f"{URL}/{hidden['id']}{path}").status_code == 404, path
        assert client.get(f"{URL}/{shown['id']}{path}").status_code == 200, path
    assert client.get(f"{URL}/ref/hidden").status_code == 404
    assert client.delete(f"{URL}/{hidden['id']}").status_code == 404
    assert client.delete(f"{URL}/{shown['id']}").status_code == 403
    assert upload(client, shown).status_code == 403
    assert client.put(f"{URL}/{shown['id']}", {"name": "x"}, format="json").status_code == 403
    assert Artifact.objects.count() == 2


def test_nobody_makes_what_they_may_not_make(client_of, identity_with, make_action):
    make_action("demo.x")
    creator = identity_with(
        {"resource": "artifacts", "actions": ["create", "read"], "constraints": {"pack_refs": ["demo"]}},
        {"resource": "actions", "actions": ["read"]},
    )
    client = client_of(creator)

    assert client.post(URL, body(), format="json").status_code == 403
    assert client.post(URL, body(owner="demo.x"), format="json").status_code == 201
    assert Artifact.objects.get().owner_identity_id == creator.pk


def test_nobody_moves_one_to_where_they_have_no_right(client_of, identity_with, make_action):
    make_action("demo.x")
    grant = {"resource": "artifacts", "actions": ["create", "read", "update"]}
    client = client_of(
        identity_with(
            {**grant, "constraints": {"pack_refs": ["demo"]}}, {"resource": "actions", "actions": ["read"]}
        )
    )
    row = client.post(URL, body(owner="demo.x"), format="json").json()["data"]

    assert client.put(f"{URL}/{row['id']}", {"owner": "core.echo"}, format="json").status_code == 403
    assert Artifact.objects.get().owner == "demo.x"


def test_what_belongs_to_a_person_is_theirs(api, client_of, identity_with):
    someone = identity_with({"resource": "artifacts", "actions": ["read"], "constraints": {"owner": "self"}})

    api.post(URL, body(scope="identity", owner=someone.login), format="json")

    assert Artifact.objects.get().owner_identity_id == someone.pk
    assert refs(client_of(someone).get(URL)) == {"build.report"}


def test_a_list_costs_the_same_however_long_it_is(api, make, django_assert_max_num_queries):
    for n in range(20):
        make(ref=f"a{n}", type="other", data={"n": n})

    with django_assert_max_num_queries(4):
        assert len(api.get(URL).json()["data"]) == 20


def test_the_executions_own_files_are_read_by_who_started_it(api, client_of, identity_with, run, left):
    starter = identity_with({"resource": "artifacts", "actions": ["read"], "constraints": {"owner": "self"}})
    Execution.objects.filter(pk=run.id).update(executor=starter)
    (left.path / "f").write_text("x")
    collect(run, left)

    assert refs(client_of(starter).get(URL)) == {f"execution.{run.id}.f"}
