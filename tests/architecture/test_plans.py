"""Every polling and claiming query uses its partial index on tables that are full of what is done."""

import json

import pytest
from django.db import connection
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer

from attune_project.messaging import steps
from executions import log_chunks
from executions.artifacts import retention
from executions.lifecycle import admitting, claiming, completing, finishing, leases, losing, placing, settling
from executions.streams import changes, log_pages
from rules import enforcing, matching
from sensors import timers

DONE = 20_000
AS_POLLING = ("enable_seqscan = off", "enable_bitmapscan = off")  # settings.py
FILL = f"""
INSERT INTO event (trigger_ref, status, decided_at, trace_id)
SELECT 'x.y', 'decided', now(), gen_random_uuid() FROM generate_series(1, {DONE});
INSERT INTO enforcement (rule_ref, trigger_ref, event_id, rule_id, status, rule_version, trace_id,
                         resolved_at)
SELECT 'x.y', 'x.y', n, 1, 'processed', 1, gen_random_uuid(), now() FROM generate_series(1, {DONE}) n;
INSERT INTO execution (action_ref, status, trace_id, scheduled_at, started_at, finished_at, settled_at)
SELECT 'x.y', 'completed', gen_random_uuid(), now(), now(), now(), now() FROM generate_series(1, {DONE});
ANALYZE event; ANALYZE enforcement; ANALYZE execution;
"""


@pytest.fixture
def full_tables(db):
    with connection.cursor() as cursor:
        cursor.execute(FILL)


def plan_of(statement: str, parameters: object) -> str:
    """Return the plan of a statement as text, without running it."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (FORMAT JSON) " + statement, parameters)
        plan = cursor.fetchone()[0]
    return plan if isinstance(plan, str) else json.dumps(plan)


def kept_plan_of(statement: str, parameters: object) -> str:
    """Return the plan that a service which polls keeps of a statement, for all values of its parameters."""
    query = PostgresQuery(Transformer(connection.connection))
    query.convert(statement, parameters)
    with connection.cursor() as cursor:
        for option in ("plan_cache_mode = force_generic_plan", *AS_POLLING):
            cursor.execute(f"SET LOCAL {option}")
        types = [name_of(oid) for oid in query.types]
        cursor.execute(f"PREPARE kept ({', '.join(types)}) AS {query.query.decode()}")
        cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE kept ({', '.join('NULL' for _ in types)})")
        plan = cursor.fetchone()[0]
        cursor.execute("DEALLOCATE kept")
    return plan if isinstance(plan, str) else json.dumps(plan)


def name_of(oid: int) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT format_type(%s, NULL)", [oid or 705])
        return cursor.fetchone()[0]


CLAIM = {
    **claiming.fitness(claiming.Claimant(1)), "worker": 1, "instants": ["core.echo"], "seconds": 20,
    "instant": 200, "process": 8, "inside": 32, "limit": 100,
}  # fmt: skip
QUERIES = {
    "match": (matching._CLAIM, [500], "event_new_idx", "event"),
    "enforce": (enforcing._CLAIM, [500], "enforcement_owed_idx", "enforcement"),
    "claim": (claiming.CLAIM_INSTANT, CLAIM, "execution_scheduled_idx", "execution"),
    "complete": (completing._TAKE, CLAIM, "execution_scheduled_idx", "execution"),
    "claim for slots": (claiming.CLAIM_SLOTS, CLAIM, "execution_scheduled_idx", "execution"),
    "beside": (claiming._BESIDE, CLAIM, "execution_scheduled_idx", "execution"),
    "admit": (admitting._ADMIT, [200], "execution_requested_idx", "execution"),
    "cancels": (
        leases._CANCELLED, [1, ["0b0f7bdc-45ab-4c1c-9d39-6ac0a5f4c2f1"]], "execution_leased_idx", "execution",
    ),
    "renew": (
        leases._RENEW, [1, ["0b0f7bdc-45ab-4c1c-9d39-6ac0a5f4c2f1"], 20], "execution_leased_idx", "execution",
    ),
    "release": (leases._RELEASE, [1, None, None], "execution_leased_idx", "execution"),
    "expire": (losing._EXPIRE, [200], "execution_leased_idx", "execution"),
    "waiting": (placing._GROUPS, [2, 50_000], "execution_scheduled_idx", "execution"),
    "explain": (
        placing._EXPLAIN, [[None], ["{}"], [1], ["why"], ["or"], 2, 200], "execution_scheduled_idx",
        "execution",
    ),
    "unplaceable": (
        placing._FAIL, [[None], ["{}"], [1], ["why"], 300, 200], "execution_scheduled_idx", "execution",
    ),
    "settle": (settling._SETTLE, [500], "execution_unsettled_idx", "execution"),
}  # fmt: skip


@pytest.mark.usefixtures("full_tables")
@pytest.mark.parametrize("name", QUERIES)
def test_a_claim_uses_its_partial_index(name):
    statement, parameters, index, table = QUERIES[name]

    plan = plan_of(statement, parameters)

    assert f'"Index Name": "{index}"' in plan
    assert not scans_whole(plan, table)


@pytest.mark.django_db
@pytest.mark.parametrize("name", QUERIES)
def test_the_plan_that_is_kept_from_an_empty_start_uses_the_partial_index(name):
    statement, parameters, index, table = QUERIES[name]

    plan = kept_plan_of(statement, parameters)

    assert f'"Index Name": "{index}"' in plan
    assert not scans_whole(plan, table)


@pytest.mark.usefixtures("full_tables")
@pytest.mark.parametrize("step", steps.every(), ids=lambda step: step.name)
def test_a_poll_uses_a_partial_index(step):
    statement = (
        f"SELECT count(*) FROM (SELECT 1 FROM {step.table} WHERE {step.owed}"
        f" AND {step.since} < now() - make_interval(secs => %s) LIMIT %s) owed"
    )

    plan = plan_of(statement, [2, 1000])

    assert not scans_whole(plan, step.table)


def test_the_timers_that_are_due_are_found_by_their_index(db):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")

    plan = plan_of(timers.CLAIM, {"now": None, "limit": 100})

    assert '"Index Name": "timer_due_idx"' in plan


KEPT = f"""
INSERT INTO artifact (ref, scope, owner, type, visibility, retention_policy, retention_limit, last_version,
                      expires_at)
SELECT 'a.' || n, 'system', '', 'other', 'private', 'days', 30, 1, now() + interval '30 days'
FROM generate_series(1, {DONE}) n;
INSERT INTO artifact_version (artifact_id, version, content_type, size_bytes, sha256, meta, expires_at)
SELECT id, 1, 'text/plain', 0, '', '{{}}', expires_at FROM artifact;
ANALYZE artifact; ANALYZE artifact_version;
"""


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (retention.EXPIRED_ARTIFACTS, "artifact_expires_idx"),
        (retention.EXPIRED_VERSIONS, "artifact_version_expires_idx"),
    ],
)
def test_retention_looks_at_what_is_over_only(db, statement, index):
    with connection.cursor() as cursor:
        cursor.execute(KEPT)

    assert f'"Index Name": "{index}"' in plan_of(statement, [20])


AGED = f"""
UPDATE execution SET created = now() - interval '1 h', updated = now() - interval '1 h',
       scheduled_at = now() - interval '1 h', started_at = now() - interval '1 h',
       finished_at = now() - interval '1 h';
INSERT INTO attempt (execution_id, number, status) SELECT id, 1, 'completed' FROM execution;
INSERT INTO log_chunk (execution_id, attempt, stream, start, size, content)
SELECT n, 1, 'stdout', 0, 1, 'x' FROM generate_series(1, {DONE}) n;
ANALYZE execution; ANALYZE attempt; ANALYZE log_chunk;
"""
LONG_AGO = {"since": "2026-01-01T00:00:00Z", "after": 0, "limit": 1000}
TOKEN = "0b0f7bdc-45ab-4c1c-9d39-6ac0a5f4c2f1"
STREAMS = {
    "recent": (changes.RECENT, {"seconds": 2.5}, "execution_finished_idx"),
    "waiting": (changes.WAITING, {"seconds": 2.5}, "execution_held_back_idx"),
    "resume: unfinished": (changes.UNFINISHED, LONG_AGO, "execution_leased_idx"),
    "resume: finished": (changes.FINISHED, LONG_AGO, "execution_finished_idx"),
    "logs watched": (log_pages._SIGNATURES, [[1, 2, 3]], "log_chunk_execution_place_key"),
    "log page": (
        log_chunks.READ, [1, 1, "stdout", 1000, 1, 1, "stdout", 0], "log_chunk_execution_place_key",
    ),
    "log attempt": (log_pages._ATTEMPT, [None, 1], "attempt_execution_id_number_key"),
    "log stored": (
        log_chunks.STORE, [[1], [TOKEN], [1], ["stdout"], [0], ["x"], "channel"], "execution_leased_idx",
    ),
    "end with a log": (
        finishing._FINISH, [[1], [TOKEN], ["completed"], ["{}"], [True], [1], ["stdout"]],
        "log_chunk_execution_place_key",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("full_tables")
@pytest.mark.parametrize("name", STREAMS)
def test_what_streams_and_logs_read_and_write_is_found_by_an_index(name):
    statement, parameters, index = STREAMS[name]
    with connection.cursor() as cursor:
        cursor.execute(AGED)

    plan = plan_of(statement, parameters)

    assert f'"Index Name": "{index}"' in plan
    assert not any(scans_whole(plan, table) for table in ("execution", "attempt", "log_chunk"))


def scans_whole(plan: str, table: str) -> bool:
    """Return whether a plan reads a table from end to end."""

    def walk(node: dict) -> bool:
        here = node.get("Node Type") == "Seq Scan" and node.get("Relation Name") == table
        return here or any(walk(child) for child in node.get("Plans", []))

    return walk(json.loads(plan)[0]["Plan"])
