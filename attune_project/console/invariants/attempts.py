"""Attempts, and what they leave: logs, progress, artifacts."""

from attune_project.console.invariants.invariant import Invariant

ATTEMPTS = (
    Invariant(
        "two_accepted_results",
        "An execution accepts one result: completed has one completed attempt, cancelled at most one"
        " (it ended before it was stopped), anything else none.",
        "Two workers' results were taken, or one was taken without a lease: report it with both attempts.",
        "SELECT x.id, x.action_ref, x.status, count(t.id) AS completed_attempts"
        " FROM execution x LEFT JOIN attempt t ON t.execution_id = x.id AND t.status = 'completed'"
        " GROUP BY x.id HAVING count(t.id) <> (x.status = 'completed')::int"
        " AND NOT (x.status = 'cancelled' AND count(t.id) = 1)",
        of="executions_execution",
    ),
    Invariant(
        "attempt_left_open",
        "An execution that isn't running has no open attempt, one that is has exactly one.",
        "Something else than the lifecycle wrote these rows; end the attempt as its execution ended.",
        "SELECT x.id, x.action_ref, x.status, count(t.id) AS open_attempts"
        " FROM execution x LEFT JOIN attempt t ON t.execution_id = x.id AND t.finished_at IS NULL"
        " GROUP BY x.id HAVING count(t.id) <> (x.status IN ('running', 'canceling'))::int",
        of="executions_execution",
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
        of="executions_execution",
    ),
    Invariant(
        "attempt_times_out_of_order",
        "An attempt starts before it finishes.",
        "These times are the database's own: was its clock set back, or the row written by hand?",
        "SELECT id, execution_id, number, started_at, finished_at FROM attempt"
        " WHERE finished_at < started_at",
        of="executions_attempt",
    ),
    Invariant(
        "attempts_with_gap",
        "The attempts of an execution are numbered from 1 without gaps.",
        "Something else than the lifecycle wrote or deleted attempts; what is left of them tells what ran.",
        "SELECT execution_id AS id, count(*) AS attempts, min(number) AS first, max(number) AS last"
        " FROM attempt GROUP BY execution_id HAVING min(number) <> 1 OR max(number) <> count(*)",
        of="executions_execution",
    ),
    Invariant(
        "attempts_overlap",
        "An attempt starts after the one before it has ended.",
        "An action may have run twice at once: look at what both attempts did outside.",
        """
        SELECT execution_id AS id, number, started_at, ended_before FROM (
            SELECT t.execution_id, t.number, t.started_at,
                   lag(COALESCE(t.finished_at, 'infinity')) OVER number AS ended_before
            FROM attempt t WINDOW number AS (PARTITION BY t.execution_id ORDER BY t.number)) tries
        WHERE started_at < ended_before
        """,
        of="executions_execution",
    ),
    Invariant(
        "attempt_ended_without_status",
        "An attempt says how it ended exactly when it has ended.",
        "Something else than the lifecycle wrote this row; its execution tells how it ended.",
        "SELECT id, execution_id, number, status, finished_at FROM attempt"
        " WHERE (status = 'running') <> (finished_at IS NULL)",
        of="executions_attempt",
    ),
    Invariant(
        "ended_unlike_its_attempt",
        "An execution that was started ends as its last attempt did, unless it was cancelled meanwhile.",
        "Something else than the lifecycle wrote one of the two rows: report it with both.",
        """
        SELECT x.id, x.action_ref, x.status, last.number, last.status AS attempt_status
        FROM execution x LEFT JOIN LATERAL (
            SELECT t.number, t.status FROM attempt t WHERE t.execution_id = x.id
            ORDER BY t.number DESC LIMIT 1
        ) last ON true
        WHERE x.status IN :ended AND x.started_at IS NOT NULL AND x.status <> 'cancelled'
          AND last.status IS DISTINCT FROM x.status
        """,
        of="executions_execution",
    ),
    Invariant(
        "retries_miscounted",
        "Each failed attempt but the last counts as a retry, and there are no more than max_retries.",
        "Its attempts tell how often it was tried; set retry_count to that.",
        """
        SELECT x.id, x.action_ref, x.status, x.retry_count, x.max_retries, count(t.id) AS retries
        FROM execution x LEFT JOIN attempt t ON t.execution_id = x.id AND t.status IN ('failed', 'timeout')
             AND (x.started_at IS NULL
                  OR t.number < (SELECT max(l.number) FROM attempt l WHERE l.execution_id = x.id))
        GROUP BY x.id HAVING x.retry_count <> count(t.id) OR x.retry_count > COALESCE(x.max_retries, 0)
        """,
        of="executions_execution",
    ),
    Invariant(
        "unrepeatable_repeated",
        "What isn't idempotent is never tried again after its worker was lost.",
        "It may have been done twice: look at what both attempts did outside, and report it.",
        """
        SELECT x.id, x.action_ref, x.status, t.number AS lost_attempt
        FROM attempt t JOIN execution x ON x.id = t.execution_id
        JOIN action a ON a.id = x.action_id AND NOT a.idempotent AND a.updated < t.started_at
        WHERE t.status = 'abandoned'
          AND (x.status IN ('requested', 'scheduling', 'scheduled')
               OR EXISTS (SELECT 1 FROM attempt l WHERE l.execution_id = x.id AND l.number > t.number))
        """,
        of="executions_execution",
    ),
    Invariant(
        "attempt_of_no_execution",
        "Attempts and progress go with their execution.",
        "Something else than retention deleted the execution; delete these rows too.",
        "SELECT 'attempt' AS kind, t.id, t.execution_id FROM attempt t"
        " WHERE NOT EXISTS (SELECT 1 FROM execution x WHERE x.id = t.execution_id)"
        " UNION ALL SELECT 'progress', p.id, p.execution_id FROM progress p"
        " WHERE NOT EXISTS (SELECT 1 FROM execution x WHERE x.id = p.execution_id)",
    ),
    Invariant(
        "log_of_no_attempt",
        "A log is that of an attempt.",
        "Something else than retention deleted the attempt; delete its log too.",
        "SELECT c.execution_id AS id, c.attempt, count(*) AS chunks FROM log_chunk c WHERE NOT EXISTS"
        " (SELECT 1 FROM attempt t WHERE t.execution_id = c.execution_id AND t.number = c.attempt)"
        " GROUP BY c.execution_id, c.attempt",
        of="executions_execution",
    ),
    Invariant(
        "log_told_twice",
        "A byte of a log is stored once.",
        "Two workers wrote one log: report it with both attempts.",
        """
        SELECT execution_id AS id, attempt, stream, start, ended_before FROM (
            SELECT c.execution_id, c.attempt, c.stream, c.start,
                   lag(c.start + c.size) OVER place AS ended_before
            FROM log_chunk c
            WINDOW place AS (PARTITION BY c.execution_id, c.attempt, c.stream ORDER BY c.start)) pieces
        WHERE start < ended_before
        """,
        of="executions_execution",
    ),
    Invariant(
        "artifact_incomplete",
        "A version of an artifact has all of its bytes.",
        "Something deleted pieces of it: delete this version, the others are whole.",
        """
        SELECT v.artifact_id AS id, v.version, v.size_bytes,
               COALESCE(sum(octet_length(c.content)), 0) AS stored
        FROM artifact_version v LEFT JOIN artifact_chunk c ON c.version_id = v.id
        GROUP BY v.id HAVING v.size_bytes <> COALESCE(sum(octet_length(c.content)), 0)
        """,
        of="executions_artifact",
    ),
    Invariant(
        "artifact_version_unknown",
        "The newest version of an artifact is the one that it names.",
        "Something else than Attune wrote this version; set the artifact's last_version to its number.",
        "SELECT a.id, a.ref, a.last_version, max(v.version) AS newest FROM artifact a"
        " JOIN artifact_version v ON v.artifact_id = a.id"
        " GROUP BY a.id HAVING max(v.version) > a.last_version",
        of="executions_artifact",
    ),
)
