"""A history of a million rows in each table that grows, made once."""

import pytest
from django.db import connection, transaction

ROWS = 1_000_000
BIG = ("event", "enforcement", "execution", "attempt", "log_chunk")
# 1,000 rules, the first ones busier; 100 triggers and 50 actions in 10 packs; 4 in 100 did not succeed,
# and one in 100 wrote to its streams.
FILL = """
CREATE TEMP TABLE source ON COMMIT DROP AS
SELECT n, rule, 'pack' || rule % 10 AS pack, now() - interval '30 days' * (1 - n / {rows}.0) AS moment,
       gen_random_uuid() AS trace
FROM (SELECT n, 1 + floor(1000 * power(random(), 2))::int AS rule
      FROM generate_series(1, {rows}) n OFFSET 0) drawn;
INSERT INTO event (id, created, trigger_ref, trigger_id, source_ref, rule_id, rule_ref, status, decided_at,
                   ruleset_revision, trace_id)
SELECT n, moment, pack || '.trigger' || rule % 100, rule % 100, CASE WHEN rule % 5 = 0 THEN 'webhook' END,
       CASE WHEN rule % 50 = 0 THEN rule END, CASE WHEN rule % 50 = 0 THEN pack || '.rule' || rule END,
       'decided', moment, 1, trace FROM source;
INSERT INTO enforcement (id, created, rule_id, rule_ref, trigger_ref, event_id, execution_id, status,
                         rule_version, trace_id, resolved_at)
SELECT n, moment, rule, pack || '.rule' || rule, pack || '.trigger' || rule % 100, n,
       CASE WHEN n % 200 <> 7 THEN n END, CASE WHEN n % 200 = 7 THEN 'disabled' ELSE 'processed' END, 1,
       trace, moment FROM source;
INSERT INTO execution (id, created, updated, source_key, rule_ref, trigger_ref, action_ref, status, worker_id,
                       executor_id, parent_id, original_execution_id, trace_id, scheduled_at, started_at,
                       finished_at, settled_at)
SELECT n, moment, moment, 'enforcement:' || n, pack || '.rule' || rule, pack || '.trigger' || rule % 100,
       pack || '.action' || rule % 50,
       CASE WHEN n % 100 < 96 THEN 'completed' WHEN n % 100 < 98 THEN 'failed'
            WHEN n % 100 = 98 THEN 'timeout' WHEN n % 10000 <> 99 THEN 'cancelled' ELSE 'abandoned' END,
       1 + n / ({rows} / 10), rule % 20, CASE WHEN n % 500 = 3 THEN n - 2 END,
       CASE WHEN n % 1000 = 9 THEN n - 8 END, trace, moment, moment, moment, moment FROM source;
INSERT INTO attempt (execution_id, number, worker_id, status, started_at, finished_at)
SELECT n, 1, 1 + n / ({rows} / 10), 'completed', moment, moment FROM source;
INSERT INTO log_chunk (execution_id, attempt, stream, start, size, content)
SELECT n, 1, stream, 20 * place, 20, 'twenty bytes of log.'
FROM source, unnest('{{stdout,stderr}}'::text[]) stream, generate_series(0, 4) place WHERE n % 100 = 1;
"""
# Those that stand for a constraint stay: rows come in the order of most of them.
INDEXES = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
WHERE i.indrelid = ANY(%s::regclass[])
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""


def fill() -> None:
    """Make the rows and, of what is in order already, most indexes: in a third of the time."""
    with transaction.atomic(), connection.cursor() as cursor:
        for option in ("statement_timeout = 0", "synchronous_commit = off", "maintenance_work_mem = '256MB'"):
            cursor.execute(f"SET LOCAL {option}")
        cursor.execute(INDEXES, [list(BIG)])
        indexes = dict(cursor.fetchall())
        cursor.execute(f"DROP INDEX {', '.join(indexes)}")
        cursor.execute(FILL.format(rows=ROWS))
        for statement in indexes.values():
            cursor.execute(statement)


@pytest.fixture(scope="module")
def history(django_db_setup, django_db_blocker):
    """Commit the rows for the tests of one module; other tests never see them."""
    with django_db_blocker.unblock():
        fill()
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute(f"VACUUM ANALYZE {', '.join(BIG)}")
        connection.close()
    yield
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(BIG)} RESTART IDENTITY CASCADE")
        connection.close()
