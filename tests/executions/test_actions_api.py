"""Actions over HTTP."""

import pytest

from attune_project.identity.models import PermissionSet
from attune_project.packs.models import Pack, Runtime
from executions.models import Action

URL = "/api/v1/actions"
ITEM = {
    "id", "created", "updated", "ref", "pack", "pack_ref", "label", "description", "entrypoint", "runtime",
    "runtime_ref", "workflow_def", "parameter_delivery", "parameter_format", "output_format",
    "timeout_seconds", "max_retries", "retry_on", "limits", "idempotent", "lost_worker_retries", "env_allow",
    "worker_pool", "worker_selector", "worker_tolerations", "worker_affinity", "required_worker_runtimes",
    "default_execution_permission_set_refs", "accesses_mcp", "is_adhoc",
}  # fmt: skip
BODY = {"ref": "demo.new", "pack_ref": "demo", "label": "New", "entrypoint": "echo hi"}


@pytest.fixture
def shell(db):
    return Runtime.objects.create(ref="core.shell", name="shell")


def refs(answer):
    return [row["ref"] for row in answer.json()["data"]]


def test_an_action_is_made(api, pack):
    answer = api.post(URL, BODY, format="json")

    row = answer.json()["data"]
    assert answer.status_code == 201
    assert row.keys() == ITEM | {"param_schema", "out_schema"}
    assert (row["pack"], row["pack_ref"], row["is_adhoc"]) == (pack.pk, "demo", True)
    assert (row["parameter_delivery"], row["output_format"], row["lost_worker_retries"]) == (
        "stdin",
        "text",
        3,
    )
    assert (row["runtime_ref"], row["worker_selector"], row["env_allow"]) == (None, {}, [])


def test_a_ref_without_a_dot_belongs_to_the_pack(api, pack):
    assert api.post(URL, {**BODY, "ref": "new"}, format="json").json()["data"]["ref"] == "demo.new"


@pytest.mark.parametrize("schema", [{"a": {"type": "string"}}, {"type": "object", "required": ["a"]}])
def test_a_schema_is_kept_as_given(api, pack, schema):
    answer = api.post(URL, {**BODY, "param_schema": schema, "out_schema": schema}, format="json")

    assert answer.json()["data"]["param_schema"] == schema
    assert Action.objects.get().out_schema == schema


@pytest.mark.parametrize("alias", ["shell", "bash", "sh"])
def test_a_runtime_is_named_by_an_alias(api, pack, shell, alias):
    row = api.post(URL, {**BODY, "runtime_ref": alias}, format="json").json()["data"]

    assert (row["runtime"], row["runtime_ref"]) == (shell.pk, "core.shell")


def test_a_runtime_is_named_by_ref_or_id(api, pack, shell):
    by_ref = api.post(URL, {**BODY, "runtime_ref": "core.shell"}, format="json").json()["data"]
    by_id = api.post(URL, {**BODY, "ref": "demo.b", "runtime": shell.pk}, format="json").json()["data"]

    assert (by_ref["runtime"], by_ref["runtime_ref"]) == (shell.pk, "core.shell")
    assert (by_id["runtime"], by_id["runtime_ref"]) == (shell.pk, "core.shell")


@pytest.mark.parametrize("changes", [{"pack_ref": "gone"}, {"runtime_ref": "core.gone"}])
def test_an_unknown_pack_or_runtime_is_404(api, pack, changes):
    answer = api.post(URL, {**BODY, **changes}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert not Action.objects.exists()


def test_a_ref_that_is_taken_is_409(api, make_action):
    make_action("demo.new")

    answer = api.post(URL, BODY, format="json")

    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    assert "demo.new" in answer.json()["error"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ref": None}, "ref"),
        ({"ref": "other.new"}, "ref"),
        ({"ref": "demo.a.b"}, "ref"),
        ({"ref": "demo.New"}, "ref"),
        ({"ref": "demo." + "x" * 255}, "ref"),
        ({"label": ""}, "label"),
        ({"label": 7}, "label"),
        ({"entrypoint": None}, "entrypoint"),
        ({"pack_ref": None}, "pack_ref"),
        ({"param_schema": []}, "param_schema"),
        ({"param_schema": {"a": {"type": "strong"}}}, "param_schema.a.type"),
        ({"parameter_format": "xml"}, "parameter_format"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": "5"}, "timeout_seconds"),
        ({"timeout_seconds": 2**31}, "timeout_seconds"),
        ({"max_retries": -1}, "max_retries"),
        ({"retry_on": {"statuses": ["completed"]}}, "retry_on"),
        ({"retry_on": {"expression": "{{ reslt() }}"}}, "retry_on"),
        ({"limits": {"memory": 1}}, "limits"),
        ({"limits": {"memory_mb": "1G"}}, "limits"),
        ({"idempotent": "yes"}, "idempotent"),
        ({"env_allow": "HOME"}, "env_allow"),
        ({"worker_pool": "a.#"}, "worker_pool"),
        ({"worker_selector": []}, "worker_selector"),
        ({"required_worker_runtimes": {"ruby": ">=3"}}, "required_worker_runtimes"),
        ({"required_worker_runtimes": {"python": "newest"}}, "required_worker_runtimes"),
        ({"required_worker_runtimes": {"python": 3.11}}, "required_worker_runtimes"),
        ({"worker_selector": {"zone": "eu", "gpus": 2}}, "worker_selector"),
        ({"default_execution_permission_set_refs": ["gone"]}, "default_execution_permission_set_refs"),
    ],
)
def test_bad_values_name_their_field(api, pack, changes, field):
    answer = api.post(URL, {**BODY, **changes}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert answer.json()["details"].keys() == {field}
    assert not Action.objects.exists()


def test_a_put_changes_only_what_it_names(api, make_action):
    before = make_action("demo.echo", description="old", timeout_seconds=5)

    answer = api.put(f"{URL}/demo.echo", {"label": "New", "timeout_seconds": {"op": "clear"}}, format="json")

    row = answer.json()["data"]
    assert answer.status_code == 200
    assert (row["label"], row["description"], row["timeout_seconds"]) == ("New", "old", None)
    assert Action.objects.get().updated > before.updated


def test_what_was_read_can_be_put_back(api, make_action, shell):
    make_action("demo.echo", runtime=shell, runtime_ref="core.shell")
    row = api.get(f"{URL}/demo.echo").json()["data"]

    answer = api.put(f"{URL}/demo.echo", row, format="json")

    assert answer.status_code == 200
    assert answer.json()["data"] == {**row, "updated": answer.json()["data"]["updated"]}


@pytest.mark.parametrize(
    ("changes", "field"), [({"ref": "demo.b"}, "ref"), ({"pack_ref": "two"}, "pack_ref")]
)
def test_an_action_never_moves(api, make_action, changes, field):
    make_action("demo.echo")
    Pack.objects.create(ref="two", label="Two", version="1.0.0")

    answer = api.put(f"{URL}/demo.echo", changes, format="json")

    assert (answer.status_code, list(answer.json()["details"])) == (422, [field])


def test_a_patch_clears_by_null(api, make_action, shell):
    make_action("demo.echo", runtime=shell, runtime_ref="core.shell", worker_selector={"a": "1", "b": "2"})

    answer = api.patch(
        f"{URL}/demo.echo", {"runtime_ref": None, "worker_selector": {"a": None}}, format="json"
    )

    row = answer.json()["data"]
    assert (row["runtime"], row["runtime_ref"], row["worker_selector"]) == (None, None, {"b": "2"})


def test_an_action_is_deleted(api, make_action):
    action = make_action("demo.echo")

    answer = api.delete(f"{URL}/demo.echo")

    assert answer.json() == {
        "success": True, "message": "action deleted", "data": {"id": action.pk, "ref": "demo.echo"},
    }  # fmt: skip
    assert not Action.objects.exists()


def test_a_list_has_no_schemas_and_standard_packs_first(api, make_action):
    core = Pack.objects.create(ref="core", label="Core", version="1.0.0", is_standard=True)
    make_action("core.echo", pack=core, pack_ref="core")
    make_action("demo.a")
    make_action("demo.b")

    answer = api.get(URL)

    assert refs(answer) == ["core.echo", "demo.b", "demo.a"]
    assert all(row.keys() == ITEM for row in answer.json()["data"])


def test_a_list_costs_the_same_queries_whatever_its_length(api, make_action, django_assert_max_num_queries):
    for number in range(10):
        make_action(f"demo.a{number}", param_schema={})

    with django_assert_max_num_queries(3):
        assert len(refs(api.get(URL))) == 10


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("pack_ref=demo", ["demo.echo"]),
        ("pack_ref=other", []),
        ("runtime_ref=core.builtin", ["demo.echo"]),
        ("is_workflow=true", []),
        ("is_workflow=false", ["demo.echo"]),
        ("search=ECH", ["demo.echo"]),
        ("search=nothing", []),
        ("executable_with_current_access=true", ["demo.echo"]),
        ("executable_with_current_access=false", []),
    ],
)
def test_a_list_is_filtered(api, make_action, query, found):
    make_action("demo.echo")

    assert refs(api.get(f"{URL}?{query}")) == found


@pytest.mark.parametrize(
    ("query", "code"),
    [("color=red", "UNKNOWN_FILTER"), ("page=0", "BAD_REQUEST"), ("is_workflow=x", "BAD_REQUEST")],
)
def test_a_parameter_that_is_no_good_is_named(api, db, query, code):
    answer = api.get(f"{URL}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert query.split("=")[0] in answer.json()["error"]


def test_the_actions_of_a_pack(api, make_action):
    other = Pack.objects.create(ref="other", label="Other", version="1.0.0")
    make_action("demo.echo")
    make_action("other.echo", pack=other, pack_ref="other")

    assert refs(api.get("/api/v1/packs/demo/actions")) == ["demo.echo"]
    assert refs(api.get("/api/v1/packs/demo/actions?search=none")) == []
    assert api.get("/api/v1/packs/gone/actions").json()["code"] == "NOT_FOUND"


def test_what_can_be_run_is_told_from_what_cannot(client_of, identity_with, make_action):
    make_action("demo.seen")
    make_action("demo.run")
    client = client_of(
        identity_with(
            {"resource": "actions", "actions": ["read"]},
            {"resource": "actions", "actions": ["execute"], "constraints": {"refs": ["demo.run"]}},
        )
    )

    assert refs(client.get(f"{URL}?executable_with_current_access=true")) == ["demo.run"]
    assert refs(client.get(f"{URL}?executable_with_current_access=false")) == ["demo.seen"]


def test_everybody_reads_the_actions_of_standard_packs(client_of, nobody, make_action):
    core = Pack.objects.create(ref="core", label="Core", version="1.0.0", is_standard=True)
    make_action("core.echo", pack=core, pack_ref="core")
    make_action("demo.echo")
    client = client_of(nobody)

    assert refs(client.get(URL)) == ["core.echo"]
    assert client.get(f"{URL}/core.echo").status_code == 200
    assert client.get(f"{URL}/demo.echo").status_code == 404


@pytest.mark.parametrize(("method", "right"), [("PUT", "update"), ("PATCH", "update"), ("DELETE", "delete")])
def test_changes_need_a_right_and_a_row_that_is_seen(client_of, identity_with, make_action, method, right):
    make_action("demo.seen")
    make_action("demo.hidden")
    grant = {"resource": "actions", "actions": ["read"], "constraints": {"refs": ["demo.seen"]}}
    client = client_of(identity_with(grant))

    seen = client.generic(method, f"{URL}/demo.seen", "{}", content_type="application/json")
    hidden = client.generic(method, f"{URL}/demo.hidden", "{}", content_type="application/json")

    assert (seen.status_code, seen.json()["error"]) == (403, f"Permission denied: actions:{right}")
    assert hidden.status_code == 404


def test_an_action_is_made_only_in_packs_that_the_grant_names(client_of, identity_with, pack):
    Pack.objects.create(ref="mine", label="Mine", version="1.0.0")
    client = client_of(
        identity_with(
            {"resource": "packs", "actions": ["read"]},
            {"resource": "actions", "actions": ["create"], "constraints": {"pack_refs": ["mine"]}},
        )
    )

    mine = client.post(URL, {**BODY, "ref": "new", "pack_ref": "mine"}, format="json")
    other = client.post(URL, BODY, format="json")

    assert mine.status_code == 201
    assert (other.status_code, other.json()["error"]) == (403, "Permission denied: actions:create")


def test_nobody_lends_rights_that_they_lack(client_of, identity_with, pack, make_action):
    make_action("demo.echo")
    grants = [{"resource": "keys", "actions": ["read"], "constraints": {"owner": "any"}}]
    PermissionSet.objects.create(ref="demo.keys", grants=grants)
    lent = {"default_execution_permission_set_refs": ["demo.keys"]}
    client = client_of(
        identity_with({"resource": "packs", "actions": ["*"]}, {"resource": "actions", "actions": ["*"]})
    )

    made = client.post(URL, {**BODY, **lent}, format="json")
    changed = client.put(f"{URL}/demo.echo", lent, format="json")

    assert [answer.status_code for answer in (made, changed)] == [403, 403]
    assert made.json()["error"] == "Permission denied: permissions:assign"
    assert Action.objects.get().default_execution_permission_set_refs == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_401_comes_before_404(stranger, db, method):
    assert stranger.generic(method, f"{URL}/demo.gone").status_code == 401
    assert stranger.get(URL).status_code == 401


def test_what_is_absent_is_404(api, db):
    answer = api.get(f"{URL}/demo.gone")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
