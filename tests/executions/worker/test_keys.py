"""A run is given the keys of its action and of its action's pack; nothing that is kept shows them."""

import hashlib

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from attune_project.identity.keys.storing import save_value
from attune_project.identity.models import Key, PermissionSet
from executions.models import Action, Execution, LogChunk
from executions.worker import jobs
from executions.worker.jobs import job_of
from executions.worker.keys import keys_of
from tests.executions.lives import claim_one, token_of

TOKEN = "correct-horse-battery"
HASH = hashlib.sha256(TOKEN.encode()).hexdigest()
SAY = 'printf %s "$token" | sha256sum; echo "it is $token"; echo "$token" >&2'


@pytest.fixture
def own(pack):
    """Give the pack, or one action, a key by this name."""

    def make(name="token", value=TOKEN, *, of=None, encrypted=True):
        owner = of or pack
        kind = owner._meta.model_name
        columns = {f"owner_{kind}": owner, f"owner_{kind}_ref": owner.ref}
        key = Key(ref=f"{owner.ref}.{name}", name=name, owner_type=kind, owner=owner.ref, **columns)
        return save_value(key, value, encrypted=encrypted)

    return make


@pytest.fixture
def ran(make_worker, execute_script, wait_for):
    """Run a script to its end and return its execution."""

    def run(script=SAY, **action):
        (row_id,) = execute_script(script=script, **action)
        make_worker().take(500)
        assert wait_for(lambda: Execution.objects.get(pk=row_id).settled_at or finished(row_id))
        return Execution.objects.get(pk=row_id)

    return run


def finished(row_id):
    return Execution.objects.filter(pk=row_id, finished_at__isnull=False).exists()


def kept():
    """Return all that the database holds of the run."""
    logs = b"".join(bytes(row) for row in LogChunk.objects.values_list("content", flat=True))
    rows = list(Execution.objects.values("config", "result", "env_vars", "status_reason"))
    return f"{rows}{logs.decode()}"


def test_a_script_has_its_pack_s_key_and_what_it_shows_of_it_is_masked(own, ran):
    own()

    row = ran()

    assert row.status == "completed"
    assert row.result["stdout"] == f"{HASH}  -\nit is ********\n"
    assert row.result["stderr"] == "********\n"
    assert TOKEN not in kept()


def test_keys_come_with_the_parameters_in_one_document(own, ran):
    own(value={"user": "ada", "passwords": [TOKEN, 12345678]})

    row = ran('doc=$(cat); echo "$doc" | sha256sum; echo "$doc"', parameters={"city": "London"})

    document = f'{{"token":{{"user":"ada","passwords":["{TOKEN}",12345678]}},"city":"London"}}\n'
    digest, shown = row.result["stdout"].split("  -\n")
    assert digest == hashlib.sha256(document.encode()).hexdigest()
    assert shown == '{"token":{"user":"ada","passwords":["********",********]},"city":"London"}\n'
    assert row.config == {"city": "London"}


def test_an_action_s_key_wins_over_its_pack_s_and_a_parameter_over_both(own, make_worker, execute, wait_for):
    own("a", "of the pack")
    own("b", "of the pack")
    own("c", "of the pack")
    ids = execute(entrypoint='echo "${#a} ${#b} ${#c}"', runtime_ref="core.shell", parameters={"c": "given"})
    action = Action.objects.get(ref=Execution.objects.get(pk=ids[0]).action_ref)
    own("b", "of the action", of=action)
    own("c", "of the action", of=action)

    make_worker().take(500)

    assert wait_for(lambda: finished(ids[0]))
    expected = [len(text) for text in ("of the pack", "of the action", "given")]
    assert Execution.objects.get(pk=ids[0]).result["stdout"] == "{} {} {}\n".format(*expected)


def test_a_key_that_is_no_secret_is_not_masked(own, ran):
    own("region", "europe-west", encrypted=False)

    assert ran('echo "$region"').result["stdout"] == "europe-west\n"


def test_keys_of_others_do_not_come(own, ran, make_action):
    own(of=make_action("demo.other"))
    save_value(
        Key(ref="demo.system", name="token", owner_type="system", owner="system"), TOKEN, encrypted=True
    )

    assert ran("cat; env; set").result["stdout"].startswith("{}\n")


def test_no_program_of_the_script_sees_a_key_in_its_environment_or_argv(own, ran):
    own()

    row = ran("env; tr '\\0' '\\n' < /proc/$$/environ; tr '\\0' ' ' < /proc/$$/cmdline")

    assert row.status == "completed"
    assert "********" not in row.result["stdout"]


def test_a_key_that_can_not_be_decrypted_fails_the_run_and_is_named(own, ran):
    own()
    Key.objects.update(value="attune1.0.AAAA")

    row = ran()

    assert row.status == "failed"
    assert "The key demo.token can't be decrypted: it is under the encryption key 0" in row.result["error"]


def test_builtin_actions_are_given_none(own, make_worker, execute, wait_for):
    own("message")
    (row_id,) = execute(entrypoint="echo")

    make_worker().take(500)

    assert wait_for(lambda: finished(row_id))
    assert Execution.objects.get(pk=row_id).result["stdout"] == ""


def test_where_there_are_no_keys_nobody_asks_for_any(make_worker, execute, worker):
    execute(entrypoint="true", runtime_ref="core.shell")
    claimed = claim_one(worker, inline=False)

    with CaptureQueriesContext(connection) as queries:
        assert keys_of(claimed).values == {}
    assert len(queries) == 0


def test_what_is_claimed_prints_no_key(own, execute, worker):
    own()
    execute(entrypoint="true", runtime_ref="core.shell")
    claimed = claim_one(worker, inline=False)

    assert keys_of(claimed).values == {"token": TOKEN}
    assert TOKEN not in f"{claimed!r}{keys_of(claimed)!r}{job_of(claimed)!r}"


@pytest.fixture
def token_with(own, administrator, execute, worker):
    """Return the token of a run that was lent these rights on keys, beside another."""

    def make(*grants):
        own()
        rights = [{"resource": "packs", "actions": ["read"], "constraints": {"owner": "any"}}]
        if grants:
            rights.append({"resource": "keys", "actions": [*grants], "constraints": {"owner": "any"}})
        PermissionSet.objects.create(ref="demo.rights", grants=rights)
        (row_id,) = execute(entrypoint="true", runtime_ref="core.shell")
        lent = {"executor_id": administrator.pk, "permission_set_refs": ["demo.rights"]}
        Execution.objects.filter(pk=row_id).update(**lent)
        return token_of(claim_one(worker, inline=False), 60)

    return make


@pytest.mark.parametrize(("grants", "status"), [([], 403), (["read", "decrypt"], 200)])
def test_a_run_s_token_reads_keys_only_if_its_permission_sets_say_so(token_with, stranger, grants, status):
    bearer = {"Authorization": f"Bearer {token_with(*grants)}"}

    answer = stranger.get("/api/v1/keys/demo.token", headers=bearer)

    assert answer.status_code == status
    assert (TOKEN in answer.content.decode()) is bool(grants)


def test_what_breaks_a_run_tells_no_key(own, ran, monkeypatch):
    def broken(job, control, host):
        raise ValueError(f"odd: {TOKEN}")

    monkeypatch.setattr(jobs, "run", broken)
    own()

    execution = ran()

    assert execution.status == "failed"
    assert "could not be begun: ValueError: odd: ********" in execution.result["error"]
