"""The list of executions and a trace, over HTTP, on big tables."""

import json
import random
from collections.abc import Callable
from typing import Any

from benchmarks.bench import Bench, say
from benchmarks.errors import Incorrect
from benchmarks.http_load import load, request
from benchmarks.stage import Stage

PAGE = 50
# A chain for each number, half a second apart, two percent of them failed.
FILL = """
WITH numbers AS (
    SELECT n, now() - make_interval(secs => (%(last)s - n) * 0.5) AS moment
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) n
), events AS (
    INSERT INTO event (id, trigger_ref, payload, status, decided_at, ruleset_revision, trace_id,
                       created, updated)
    SELECT n, 'bench.alert', jsonb_build_object('host', 'host-' || n %% 1000, 'value', n %% 100), 'decided',
           moment, 1, md5(n::text)::uuid, moment, moment
    FROM numbers
    ON CONFLICT (id) DO NOTHING -- the services may have recorded an alert
), enforcements AS (
    INSERT INTO enforcement (id, rule_id, rule_ref, trigger_ref, event_id, status, rule_version,
                             execution_id, trace_id, resolved_at, created, updated)
    SELECT n, 1, 'bench.alert', 'bench.alert', n, 'processed', 1,
           n, md5(n::text)::uuid, moment, moment, moment
    FROM numbers
), attempts AS (
    INSERT INTO attempt (execution_id, number, status, started_at, finished_at, created, updated)
    SELECT n, 1, 'completed', moment, moment, moment, moment FROM numbers
)
INSERT INTO execution (id, source_key, rule_ref, trigger_ref, action_ref, config, status, result, trace_id,
                       created, updated, scheduled_at, started_at, finished_at, settled_at)
SELECT n, 'enforcement:' || n, 'bench.alert', 'bench.alert', (ARRAY['core.noop', 'core.echo'])[1 + n %% 2],
       jsonb_build_object('message', 'host-' || n %% 1000),
       CASE WHEN n %% 50 = 0 THEN 'failed' ELSE 'completed' END, '{"exit_code": 0}', md5(n::text)::uuid,
       moment, moment, moment, moment, moment, moment
FROM numbers
"""
AT_ONCE = 100_000


def api_list(bench: Bench) -> dict[str, Any]:
    """Ask for the newest page, a filtered one and a trace, one request after the other."""
    found: dict[str, Any] = {"unit": "ms"}
    with bench.alone("web", feeders=0) as stage:
        token = stage.token
        have = 0
        for count in bench.sizes.rows:
            say(f"api_list: {count:,} rows in each table")
            fill(stage, have, count)
            have = count
            found[f"rows_{count}"] = ask(stage, token, count, bench.sizes.requests)
    last = found[f"rows_{bench.sizes.rows[-1]}"]
    return {**found, "median": last["list"]["p50_ms"]}


def fill(stage: Stage, have: int, count: int) -> None:
    for first in range(have + 1, count + 1, AT_ONCE):
        with stage.rows.connection.cursor() as cursor:
            cursor.execute(FILL, {"first": first, "last": min(count, first + AT_ONCE - 1)})
    for table in ("event", "enforcement", "execution", "attempt"):
        stage.rows.all(f"VACUUM ANALYZE {table}")  # what autovacuum does by and by


def ask(stage: Stage, token: str, count: int, requests: int) -> dict[str, Any]:
    """Return the times of each kind of request."""
    some = random.Random(7)
    kinds = {
        "list": lambda: f"/api/v1/executions?per_page={PAGE}",
        "filtered": lambda: f"/api/v1/executions?per_page={PAGE}&status=failed",
        "trace": lambda: f"/api/v1/trace/execution/{some.randint(1, count)}",
    }
    found: dict[str, Any] = {}
    for name, path in kinds.items():

        def asked(path: Callable[[], str] = path) -> bytes:
            return request("GET", path(), token=token)

        load(stage.spine.port, asked, count=5)
        meter = stage.meter()
        answers = load(stage.spine.port, asked, count=requests)
        check(name, answers.statuses, answers.last, count)
        cpu = {f"{who}_cpu_ms": round(ms, 2) for who, ms in meter.ms(requests).items()}
        found[name] = {**answers.percentiles(), **cpu}
    return found


def check(name: str, statuses: dict[int, int], body: bytes, count: int) -> None:
    """Raise Incorrect unless all were answered, and the last with what was asked for."""
    if set(statuses) != {200}:
        raise Incorrect(f"{name}: answers {dict(statuses)}: {body[:300]!r}")
    data = json.loads(body)["data"]
    if name == "list" and (len(data) != min(PAGE, count) or data[0]["id"] != count):
        raise Incorrect(f"list: {len(data)} rows, the first is {data[0]['id']} and not {count}")
    if name == "filtered" and {row["status"] for row in data} != {"failed"}:
        raise Incorrect("filtered: rows of another status")
    if name == "trace" and (len(data["executions"]), len(data["events"])) != (1, 1):
        raise Incorrect(f"trace: {data}")
