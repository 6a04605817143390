"""What must hold of the rows whatever was killed: each promise as a query for the rows that break it."""

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

MOST_ROWS = 20


@dataclass(frozen=True)
class Invariant:
    """`query` returns the offending rows; `:age` in it is since when something may be under way."""

    name: str
    promise: str
    remedy: str
    query: str


@dataclass(frozen=True)
class Violation:
    invariant: Invariant
    count: int
    rows: list[dict[str, Any]]  # the first few


_WORDS = {
    ":age": "now() - make_interval(secs => %(seconds)s)",
    ":ended": "('completed', 'failed', 'cancelled', 'timeout', 'abandoned')",
}
_CONSUMER = "see /health/detailed for its probe and poll"

INVARIANTS = (
    Invariant(
        "event_not_decided",
        "An accepted event is decided.",
        f"Is a sensor service running? If it is, {_CONSUMER}.",
        "SELECT id, trigger_ref, created FROM event WHERE status = 'new' AND created < :age"
        " AND NOT EXISTS (SELECT 1 FROM dead_letter d WHERE d.step = 'match' AND d.row_id = event.id"
        " AND d.requeued_at IS NULL)",
    ),
    Invariant(
        "event_decided_without_when",
        "A decided event says when, and by which revision of the rules.",
        "Something else than the matcher wrote this row; set it back to status new to decide it again.",
        "SELECT id, trigger_ref, decided_at, ruleset_revision FROM event"
        " WHERE status = 'decided' AND (decided_at IS NULL OR ruleset_revision IS NULL)",
    ),
    Invariant(
        "match_without_enforcement",
        "An event has an enforcement or a recorded error for each rule without conditions that it concerns.",
        "Matching lost a rule: keep the database as it is, set the event back to status new, and report it.",
        """
        SELECT e.id, e.trigger_ref, e.ruleset_revision, v.rule_ref
        FROM event e
        JOIN trigger t ON t.ref = e.trigger_ref AND t.enabled AND t.updated <= e.created
        JOIN rule_version v ON v.definition ->> 'trigger_ref' = e.trigger_ref
             AND v.revision <= e.ruleset_revision AND (e.rule_id IS NULL OR e.rule_id = v.rule_id)
        WHERE e.status = 'decided' AND (e.rule_id IS NOT NULL OR e.config -> 'params' IS NULL)
          AND v.definition ->> 'enabled' = 'true' AND v.definition ->> 'type' = 'standard'
          AND COALESCE(v.definition -> 'conditions', '{}') IN ('{}', '[]', 'null')
          AND NOT EXISTS (SELECT 1 FROM rule_version w WHERE w.rule_id = v.rule_id
                          AND w.number > v.number AND w.revision <= e.ruleset_revision)
          AND NOT EXISTS (SELECT 1 FROM enforcement n WHERE n.event_id = e.id AND n.rule_id = v.rule_id)
          AND NOT EXISTS (SELECT 1 FROM rule_evaluation x WHERE x.event_id = e.id AND x.rule_id = v.rule_id)
        """,
    ),
    Invariant(
        "two_enforcements_of_one_match",
        "An event has at most one enforcement of a rule.",
        "The constraint enforcement_event_id_rule_id_key is missing: run manage.py migrate.",
        "SELECT event_id, rule_id, count(*) AS enforcements, max(id) AS newest FROM enforcement"
        " WHERE event_id IS NOT NULL AND rule_id IS NOT NULL GROUP BY event_id, rule_id HAVING count(*) > 1",
    ),
    Invariant(
        "enforcement_not_resolved",
        "An enforcement gets its execution.",
        f"Is an executor service running? If it is, {_CONSUMER}.",
        "SELECT id, rule_ref, event_id, created FROM enforcement WHERE status = 'created'"
        " AND created < :age AND NOT EXISTS (SELECT 1 FROM dead_letter d WHERE d.step = 'enforce'"
        " AND d.row_id = enforcement.id AND d.requeued_at IS NULL)",
    ),
    Invariant(
        "enforcement_without_execution",
        "A processed enforcement has the execution that was made for it.",
        "Set the enforcement back to status created: the executor then makes the execution (never two).",
        "SELECT n.id, n.rule_ref, n.execution_id, x.source_key"
        " FROM enforcement n LEFT JOIN execution x ON x.id = n.execution_id"
        " WHERE n.status = 'processed' AND x.source_key IS DISTINCT FROM 'enforcement:' || n.id",
    ),
    Invariant(
        "execution_of_no_enforcement",
        "An execution made for an enforcement is the one that the enforcement names.",
        "Compare both rows; the execution ran, so the enforcement should name it.",
        "SELECT x.id, x.source_key, n.execution_id FROM execution x"
        " LEFT JOIN enforcement n ON n.id = split_part(x.source_key, ':', 2)::bigint"
        " WHERE x.source_key ~ '^enforcement:[0-9]{1,18}$' AND n.execution_id IS DISTINCT FROM x.id",
    ),
    Invariant(
        "two_executions_of_one_source",
        "One source has one execution.",
        "The constraint execution_source_key_key is missing: run manage.py migrate, cancel the extra.",
        "SELECT source_key, count(*) AS executions, max(id) AS newest FROM execution"
        " WHERE source_key IS NOT NULL GROUP BY source_key HAVING count(*) > 1",
    ),
    Invariant(
        "ended_without_finish",
        "An execution has finished_at exactly when it has ended.",
        "Something else than the lifecycle wrote this row; set finished_at to its updated.",
        "SELECT id, action_ref, status, finished_at FROM execution"
        " WHERE (status IN :ended) <> (finished_at IS NOT NULL)",
    ),
    Invariant(
        "ended_with_lease",
        "An execution that has ended is under no lease.",
        "Something else than the lifecycle wrote this row; clear lease_token and lease_expires_at.",
        "SELECT id, action_ref, status, worker_id, lease_expires_at FROM execution"
        " WHERE status IN :ended AND (lease_token IS NOT NULL OR lease_expires_at IS NOT NULL)",
    ),
    Invariant(
        "not_settled",
        "An execution that has ended is settled.",
        f"Is an executor service running? If it is, {_CONSUMER}.",
        "SELECT id, action_ref, status, finished_at FROM execution"
        " WHERE settled_at IS NULL AND finished_at < :age AND NOT EXISTS (SELECT 1 FROM dead_letter d"
        " WHERE d.step = 'settle' AND d.row_id = execution.id AND d.requeued_at IS NULL)",
    ),
    Invariant(
        "lease_over",
        "An execution whose lease is over is taken back from its worker.",
        "The executor's clock does it twice a second: is an executor service running?",
        "SELECT id, action_ref, status, worker_id, lease_expires_at FROM execution"
        " WHERE status IN ('running', 'canceling') AND lease_expires_at < :age",
    ),
    Invariant(
        "leased_by_nobody",
        "An execution that runs is under a worker's lease.",
        "Nothing will ever end this execution by itself: set its lease_expires_at to now().",
        "SELECT id, action_ref, status, worker_id FROM execution WHERE status IN ('running', 'canceling')"
        " AND (lease_token IS NULL OR lease_expires_at IS NULL OR worker_id IS NULL)",
    ),
    Invariant(
        "two_accepted_results",
        "An execution accepts one result: completed has one completed attempt, cancelled at most one"
        " (it ended before it was stopped), anything else none.",
        "Two workers' results were taken, or one was taken without a lease: report it with both attempts.",
        "SELECT x.id, x.action_ref, x.status, count(t.id) AS completed_attempts"
        " FROM execution x LEFT JOIN attempt t ON t.execution_id = x.id AND t.status = 'completed'"
        " GROUP BY x.id HAVING count(t.id) <> (x.status = 'completed')::int"
        " AND NOT (x.status = 'cancelled' AND count(t.id) = 1)",
    ),
    Invariant(
        "attempt_left_open",
        "An execution that isn't running has no open attempt, one that is has exactly one.",
        "Something else than the lifecycle wrote these rows; end the attempt as its execution ended.",
        "SELECT x.id, x.action_ref, x.status, count(t.id) AS open_attempts"
        " FROM execution x LEFT JOIN attempt t ON t.execution_id = x.id AND t.finished_at IS NULL"
        " GROUP BY x.id HAVING count(t.id) <> (x.status IN ('running', 'canceling'))::int",
    ),
    Invariant(
        "too_many_attempts",
        "An execution is attempted no more often than its retries, and those for lost workers, allow.",
        "Cancel it if it still runs, and look at its attempts: their ends say why it was tried again.",
        """
        SELECT x.id, x.action_ref, count(*) AS attempts,
               1 + COALESCE(x.max_retries, 0) + COALESCE(a.lost_worker_retries, 3) AS allowed
        FROM execution x JOIN attempt t ON t.execution_id = x.id LEFT JOIN action a ON a.id = x.action_id
        GROUP BY x.id, a.lost_worker_retries
        HAVING count(*) > 1 + COALESCE(x.max_retries, 0) + COALESCE(a.lost_worker_retries, 3)
        """,
    ),
    Invariant(
        "execution_times_out_of_order",
        "created <= scheduled <= started <= finished <= settled.",
        "These times are the database's own: was its clock set back, or the row written by hand?",
        "SELECT id, action_ref, created, scheduled_at, started_at, finished_at, settled_at FROM execution"
        " WHERE scheduled_at < created OR started_at < GREATEST(created, scheduled_at)"
        " OR finished_at < GREATEST(created, scheduled_at, started_at)"
        " OR settled_at < GREATEST(created, scheduled_at, started_at, finished_at)",
    ),
    Invariant(
        "attempt_times_out_of_order",
        "An attempt starts before it finishes.",
        "These times are the database's own: was its clock set back, or the row written by hand?",
        "SELECT id, execution_id, number, started_at, finished_at FROM attempt"
        " WHERE finished_at < started_at",
    ),
    Invariant(
        "chain_times_out_of_order",
        "An event is recorded before it is decided, an enforcement made before it is resolved.",
        "These times are the database's own: was its clock set back, or the row written by hand?",
        "SELECT 'event' AS kind, id, created, decided_at AS later FROM event WHERE decided_at < created"
        " UNION ALL SELECT 'enforcement', id, created, resolved_at FROM enforcement"
        " WHERE resolved_at < created",
    ),
    Invariant(
        "slot_held_by_ended",
        "A slot of a policy is held by an execution that is scheduled or runs.",
        "Something else than the lifecycle wrote this row: delete the slot, who waits for it is let in.",
        "SELECT s.id, s.execution_id, s.group_key, x.status FROM policy_slot s"
        " LEFT JOIN execution x ON x.id = s.execution_id"
        " WHERE COALESCE(x.status, 'gone') NOT IN ('scheduled', 'running', 'canceling')",
    ),
    Invariant(
        "started_without_slot",
        "An execution that a policy let start holds a slot of it until it has ended.",
        "Something deleted its slot: more of its group may run at once than the policy allows until it ends.",
        "SELECT x.id, x.action_ref, x.status, x.policy_id, x.policy_group FROM execution x"
        " JOIN policy p ON p.id = x.policy_id LEFT JOIN policy_slot s ON s.execution_id = x.id"
        " WHERE x.status IN ('scheduled', 'running', 'canceling') AND s.id IS NULL",
    ),
    Invariant(
        "waits_in_no_queue",
        "A requested execution of a policy stands in its queue, or joins it when it is due.",
        "Set its due_at to now(): the executor's clock puts it into the queue.",
        "SELECT id, action_ref, policy_id, policy_group FROM execution WHERE status = 'requested'"
        " AND policy_id IS NOT NULL AND queued_at IS NULL AND due_at IS NULL",
    ),
    Invariant(
        "free_slot_not_taken",
        "Who waits for a policy is let in when a slot is free and its rate allows.",
        "The executor's clock does it twice a second: is an executor service running?",
        """
        SELECT g.id, p.ref, g.group_key, min(x.queued_at) AS waits_since
        FROM policy_group g JOIN policy p ON p.id = g.policy_id AND p.enabled AND p.rate_limit IS NULL
        JOIN execution x ON x.policy_id = g.policy_id AND x.policy_group = g.group_key
        WHERE x.status = 'requested' AND x.queued_at < :age AND p.updated < :age
          AND NOT EXISTS (SELECT 1 FROM execution e WHERE e.policy_id = g.policy_id
                          AND e.policy_group = g.group_key AND e.updated >= :age)
          AND (SELECT count(*) FROM policy_slot s
               WHERE s.policy_id = g.policy_id AND s.group_key = g.group_key) < p.threshold
        GROUP BY g.id, p.ref
        """,
    ),
    Invariant(
        "timer_overdue",
        "An enabled timer fires when it is due.",
        "Is a beat service running, and does it lead? Its log says so; the check `timers` says since when.",
        "SELECT id, rule_id, trigger_ref, next_fire_at FROM timer"
        " WHERE enabled AND rule_id IS NOT NULL AND next_fire_at < :age",
    ),
)


def violations(seconds: float = 30) -> list[Violation]:
    """Return every broken promise; what has been under way for less than `seconds` breaks none."""
    found = [_look(invariant, seconds) for invariant in INVARIANTS]
    return [violation for violation in found if violation.count]


def _look(invariant: Invariant, seconds: float) -> Violation:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(_statement(invariant), {"seconds": seconds})
        names = [column.name for column in cursor.description or ()][1:]
        rows = cursor.fetchall()
    return Violation(
        invariant, rows[0][0] if rows else 0, [dict(zip(names, row[1:], strict=True)) for row in rows]
    )


def _statement(invariant: Invariant) -> str:
    query = invariant.query
    for word, meaning in _WORDS.items():
        query = query.replace(word, meaning)
    return f"SELECT count(*) OVER () AS total, broken.* FROM ({query}) broken LIMIT {MOST_ROWS}"  # noqa: S608
