"""What is over and old goes as a whole; whatever is owed, needed or young stays as a whole."""

import uuid
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from attune_project.console import metrics_retention
from attune_project.console.invariants import violations
from attune_project.console.models import RetentionConfig, RetentionCount
from attune_project.console.retention import sweeping
from attune_project.console.retention.alone import TABLES
from attune_project.messaging.models import DeadLetter
from executions.models import Artifact, Attempt, Execution, LogChunk, Progress
from rules.models import Enforcement, RuleEvaluation
from sensors.models import Event, TimerSlot

DAY = 86_400.0
OLD = 31 * DAY


@pytest.fixture
def swept():
    """Sweep without rests; return the counts of all batches."""

    def run(**options):
        total = sweeping.Counter()
        for counts in sweeping.sweep(pause=0, **options):
            total += counts
        return total

    return run


@pytest.fixture
def old_chain(make_chain):
    chain = make_chain(OLD)
    age(chain.slot, OLD)
    return chain


def age(row, seconds, *columns):
    """Set times of a row to so many seconds ago: `created`, unless others are named."""
    moment = timezone.now() - timedelta(seconds=seconds)
    type(row).objects.filter(pk=row.pk).update(**dict.fromkeys(columns or ("created",), moment))


def run_below(execution, seconds=OLD, **columns):
    """Make an execution that ended so many seconds ago, related to another as the columns say."""
    moment = timezone.now() - timedelta(seconds=seconds)
    row = Execution.objects.create(
        action_ref="core.noop", status="completed", trace_id=uuid.uuid4(), scheduled_at=moment,
        started_at=moment, finished_at=moment, settled_at=moment, **columns,
    )  # fmt: skip
    age(row, seconds)
    return row


def left():
    return {model.__name__ for model in (Event, Enforcement, Execution, Attempt) if model.objects.exists()}


def test_an_old_chain_goes_with_all_that_belongs_to_it(old_chain, swept):
    execution = old_chain.execution
    LogChunk.objects.create(execution=execution, attempt=1, stream="stdout", start=0, size=1, content=b"x")
    Progress.objects.create(execution=execution, percent=5)
    RuleEvaluation.objects.create(
        event=old_chain.event, rule_ref="a.b", rule_version=1, outcome="error", reason="why"
    )

    counts = swept()

    assert counts == {
        "timer_slot": 1, "event": 1, "rule_evaluation": 1, "enforcement": 1, "execution": 1, "attempt": 1,
        "log_chunk": 1, "progress": 1,
    }  # fmt: skip
    assert left() == set()
    assert violations(30) == []


def test_what_went_is_counted(old_chain, swept, make_chain):
    swept()
    make_chain(OLD)
    swept()

    assert RetentionCount.objects.get(name="event").deleted == 2


def test_a_young_chain_stays(make_chain, swept):
    make_chain(29 * DAY)

    assert swept() == {}
    assert left() == {"Event", "Enforcement", "Execution", "Attempt"}


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("event", {"status": "new", "decided_at": None}),
        ("enforcement", {"status": "created", "resolved_at": None}),
        ("execution", {"settled_at": None}),
        ("execution", {"status": "requested", "finished_at": None, "settled_at": None}),
        ("execution", {"status": "running", "finished_at": None, "settled_at": None,
                       "lease_token": uuid.uuid4()}),
    ],
    ids=["undecided", "not enforced", "unsettled", "waiting", "running"],
)  # fmt: skip
def test_a_chain_that_owes_anything_stays_as_a_whole(old_chain, swept, part, changes):
    row = getattr(old_chain, part)
    type(row).objects.filter(pk=row.pk).update(**changes)

    swept()

    assert left() == {"Event", "Enforcement", "Execution", "Attempt"}


def test_one_that_ended_late_keeps_its_chain(old_chain, swept):
    age(old_chain.execution, DAY, "finished_at", "settled_at")

    swept()

    assert left() == {"Event", "Enforcement", "Execution", "Attempt"}


def test_one_enforcement_that_owes_keeps_the_others_of_its_event(old_chain, swept):
    Enforcement.objects.create(
        rule_ref="a.b", rule_id=77, trigger_ref="x.y", event=old_chain.event, rule_version=1,
        trace_id=uuid.uuid4(),
    )  # fmt: skip

    swept()

    assert Enforcement.objects.count() == 2


def test_executions_below_go_with_what_they_are_below(old_chain, swept):
    child = run_below(old_chain.execution, parent=old_chain.execution)
    run_below(child, parent=child, original_execution=child)

    assert swept()["execution"] == 3


def test_one_below_that_is_under_way_keeps_all_above(old_chain, swept):
    child = run_below(old_chain.execution, parent=old_chain.execution)
    grandchild = run_below(child, parent=child)
    Execution.objects.filter(pk=grandchild.pk).update(status="scheduled", finished_at=None, settled_at=None)

    swept()

    assert Execution.objects.count() == 3
    assert Event.objects.count() == 1


def test_what_was_run_again_stays_until_the_rerun_has_gone(old_chain, swept):
    rerun = run_below(old_chain.execution, DAY, original_execution=old_chain.execution)
    swept()
    assert Event.objects.count() == 1

    age(rerun, OLD, "created", "scheduled_at", "started_at", "finished_at", "settled_at")
    swept()
    swept()

    assert left() == set()


def test_what_a_person_started_goes_too(db, swept):
    root = run_below(None)
    run_below(root, parent=root)
    run_below(None, DAY)

    assert swept() == {"execution": 2}


def test_one_whose_parent_is_gone_goes_by_itself(db, swept):
    run_below(None, parent_id=404)

    assert swept() == {"execution": 1}


def test_enforcements_without_an_event_go(old_chain, swept):
    Event.objects.all().delete()

    swept()

    assert left() == set()


def test_an_event_that_nothing_followed_goes(canary_rule, swept):
    event = Event.objects.create(trigger_ref="x.y", status="decided", trace_id=uuid.uuid4())
    age(event, OLD)

    assert swept() == {"event": 1}


def test_artifacts_have_limits_of_their_own(old_chain, swept):
    kept = Artifact.objects.create(ref="a.b", type="other", execution=old_chain.execution)
    age(kept, OLD)

    swept()

    assert Artifact.objects.get().execution_id == old_chain.execution.pk


def test_a_slot_that_did_not_fire_goes(chain, swept):
    skipped = TimerSlot.objects.create(timer=chain.slot.timer, scheduled_for="2020-01-01T00:00Z",
                                       outcome="skipped")  # fmt: skip
    age(skipped, OLD)

    assert swept() == {"timer_slot": 1}


def test_an_open_dead_letter_stays(db, swept):
    common = {"queue": "q", "exchange": "x", "routing_key": "k", "reason": "why", "body": ""}
    for column in (None, timezone.now() - timedelta(days=31)):
        age(DeadLetter.objects.create(requeued_at=column, **common), OLD)

    assert swept() == {"dead_letter": 1}
    assert DeadLetter.objects.get().requeued_at is None


def test_batches_go_on_behind_what_stays(make_chain, swept, monkeypatch):
    monkeypatch.setattr(sweeping, "BATCH", 2)
    kept = [make_chain(OLD) for _ in range(5)]
    Execution.objects.update(settled_at=None)
    going = [make_chain(OLD) for _ in range(3)]

    assert swept()["event"] == len(going)
    assert Event.objects.count() == len(kept)


def test_a_batch_that_breaks_deletes_nothing(old_chain, swept, monkeypatch):
    def broken(counts):
        raise RuntimeError("killed")

    monkeypatch.setattr(sweeping, "PARTS", sweeping.PARTS[len(TABLES) :])
    monkeypatch.setattr(sweeping, "_note", broken)

    with pytest.raises(RuntimeError):
        swept()
    assert left() == {"Event", "Enforcement", "Execution", "Attempt"}


def test_once_is_one_batch(make_chain, swept, monkeypatch):
    monkeypatch.setattr(sweeping, "BATCH", 2)
    for _ in range(3):
        make_chain(OLD)

    assert swept(once=True)["event"] == 2


def test_a_dry_run_deletes_nothing(old_chain, swept):
    assert swept(dry=True) == {"timer_slot": 1, "event": 1, "enforcement": 1, "execution": 1}
    assert left() == {"Event", "Enforcement", "Execution", "Attempt"}
    assert not RetentionCount.objects.exists()


def test_the_clock_obeys_the_switch(old_chain):
    RetentionConfig.objects.create(pk=1, enabled=False)
    sweeping.delete_history()
    assert Event.objects.exists()

    RetentionConfig.objects.update(enabled=True)
    sweeping.delete_history()
    assert not Event.objects.exists()


def test_operators_may_keep_less(make_chain, swept):
    make_chain(3 * DAY)
    RetentionConfig.objects.create(pk=1, runtime_days=2)

    assert swept()["event"] == 1


@pytest.fixture
def someone_else_deletes(transactional_db):
    """Hold the lock in another session."""
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended('attune.retention', 0))")
    yield
    other.close()


@pytest.mark.usefixtures("someone_else_deletes")
def test_one_deletes_at_a_time(swept):
    with pytest.raises(sweeping.Busy):
        swept()
    sweeping.delete_history()  # leaves it to the other
    with pytest.raises(CommandError, match="another process"):
        call_command("retention")


def test_the_command_says_what_it_did(old_chain, capsys):
    call_command("retention", "--dry-run")
    call_command("retention")
    call_command("retention", "--once")

    said = capsys.readouterr().out.splitlines()
    limits = "(runtime: 30 days, audit: 90 days)"
    assert said[0] == f"1 enforcement, 1 event, 1 execution, 1 timer_slot would go {limits}"
    assert said[1] == f"1 attempt, 1 enforcement, 1 event, 1 execution, 1 timer_slot deleted {limits}"
    assert said[2] == f"nothing deleted {limits}"


URL = "/api/v1/retention-config"


def test_the_limits_by_default(api):
    assert api.get(URL).json()["data"] == {
        "enabled": True, "runtime_days": 30, "audit_days": 90, "changed_by": None, "updated": None,
        "deleted": {},
    }  # fmt: skip


def test_the_limits_are_set_and_cleared(api, administrator):
    def put(**body):
        return api.put(URL, body, format="json").json()["data"]

    first = put(runtime_days=7, enabled=False)
    second = put(audit_days=400)
    third = put(runtime_days={"op": "clear"}, enabled={"op": "clear"})

    assert (first["enabled"], first["runtime_days"], first["audit_days"]) == (False, 7, 90)
    assert first["changed_by"] == administrator.pk
    assert (second["enabled"], second["runtime_days"], second["audit_days"]) == (False, 7, 400)
    assert (third["enabled"], third["runtime_days"], third["audit_days"]) == (True, 30, 400)


@pytest.mark.parametrize(
    "body", [{"runtime_days": 0}, {"runtime_days": 1.5}, {"audit_days": 99_999}, {"enabled": "yes"}]
)
def test_limits_below_a_day_or_senseless_are_refused(api, body):
    assert api.put(URL, body, format="json").status_code == 422
    assert api.get(URL).json()["data"]["runtime_days"] == 30


def test_a_reader_may_not_change_the_limits(client_of, identity_with, stranger, nobody):
    reader = client_of(identity_with({"resource": "retention", "actions": ["read"]}))

    assert reader.get(URL).status_code == 200
    assert reader.put(URL, {"runtime_days": 7}, format="json").status_code == 403
    assert client_of(nobody).get(URL).status_code == 403
    assert stranger.get(URL).status_code == 401


def test_the_numbers_are_in_the_metrics(old_chain, swept, make_chain):
    swept()
    make_chain(50)

    said = {(sample.name, *sample.labels.values()): sample.value
            for family in metrics_retention.families() for sample in family.samples}  # fmt: skip

    assert said["attune_retention_deleted_rows_total", "event"] == 1
    assert said["attune_retention_days", "runtime"] == 30
    assert said["attune_oldest_row_seconds", "execution"] >= 49


def test_the_admin_sets_the_limits(administrator, client):
    client.force_login(administrator)
    client.post("/admin/console/retentionconfig/add/", {"enabled": "unknown", "runtime_days": "9"})

    row = RetentionConfig.objects.get()
    assert (row.pk, row.runtime_days, row.audit_days, row.changed_by) == (1, 9, None, administrator)
    assert client.get("/admin/console/retentionconfig/add/").status_code == 403
    assert b"runtime: 9 days" in client.get("/admin/console/retentionconfig/1/change/").content
