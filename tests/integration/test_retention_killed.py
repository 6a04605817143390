"""kill -9 in the middle of a batch of retention leaves whole chains.

A statement of the batch waits for a lock that the test holds: there the process is killed, however fast.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from attune_project.console.retention import sweeping
from tests.integration.servers import fresh_database
from tests.integration.spine import ROOT, Spine, until

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]
CHAINS = sweeping.BATCH + 20
GATE = 7262
OLD_CHAINS = f"""
WITH numbers AS (SELECT n, now() - interval '40 days' AS moment FROM generate_series(1, {CHAINS}) n),
events AS (
    INSERT INTO event (id, created, trigger_ref, status, decided_at, trace_id)
    SELECT n, moment, 'x.y', 'decided', moment, gen_random_uuid() FROM numbers
), executions AS (
    INSERT INTO execution (id, created, action_ref, status, trace_id, scheduled_at, started_at, finished_at,
                           settled_at)
    SELECT n, moment, 'core.noop', 'completed', gen_random_uuid(), moment, moment, moment, moment FROM numbers
), attempts AS (
    INSERT INTO attempt (execution_id, number, status, started_at, finished_at)
    SELECT n, 1, 'completed', moment, moment FROM numbers
)
INSERT INTO enforcement (id, created, rule_id, rule_ref, trigger_ref, event_id, execution_id, status,
                         rule_version, trace_id, resolved_at)
SELECT n, moment, 1, 'x.y', 'x.y', n, n, 'processed', 1, gen_random_uuid(), moment FROM numbers
"""
COUNTS = """
SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM enforcement), (SELECT count(*) FROM execution),
       (SELECT count(*) FROM attempt)
"""
HELD_UP = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
GATE_FUNCTION = f"""
CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NULL; END $$
"""


@pytest.fixture(scope="module")
def spine(tmp_path_factory) -> Iterator[Spine]:
    """A database of which no service runs."""
    with fresh_database() as address:
        spine = Spine(address, "memory://", tmp_path_factory.mktemp("retention"), 0)
        spine.sql(GATE_FUNCTION)
        yield spine


@contextmanager
def held_up(spine: Spine, statement: str) -> Iterator[psycopg.Connection]:
    """Let whoever runs such a statement wait, after it is done, until the connection lets it go on."""
    spine.sql(f"CREATE TRIGGER gate AFTER {statement} EXECUTE FUNCTION wait_at_gate()")
    with psycopg.connect(spine.database_url, autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(%s)", [GATE])
        yield gate
    spine.sql(f"DROP TRIGGER gate ON {statement.rpartition(' ')[2]}")  # waits for the end of the transaction


def sweep(spine: Spine) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "manage.py", "retention"], cwd=ROOT, env=spine.environment)


@pytest.mark.parametrize("statement", ["DELETE ON execution", "DELETE ON event", "INSERT ON retention_count"])
def test_one_killed_in_a_batch_leaves_whole_chains(spine, statement):
    spine.sql(OLD_CHAINS)

    with held_up(spine, statement):
        process = sweep(spine)
        assert until(lambda: spine.one(HELD_UP, GATE) or process.poll() is not None, 240, step=0.05)
        assert process.poll() is None
        process.kill()
        process.wait()

    assert spine.sql(COUNTS) == [(CHAINS, CHAINS, CHAINS, CHAINS)]
    assert sweep(spine).wait(timeout=240) == 0
    assert spine.sql(COUNTS) == [(0, 0, 0, 0)]
