"""Executions: their states, times and leases."""

from attune_project.console.invariants.invariant import CONSUMER, Invariant

EXECUTIONS = (
    Invariant(
        "ended_without_finish",
        "An execution has finished_at exactly when it has ended.",
        "Something else than the lifecycle wrote this row; set finished_at to its updated.",
        "SELECT id, action_ref, status, finished_at FROM execution"
        " WHERE (status IN :ended) <> (finished_at IS NOT NULL)",
        of="executions_execution",
    ),
    Invariant(
        "ended_with_lease",
        "An execution that has ended is under no lease.",
        "Something else than the lifecycle wrote this row; clear lease_token and lease_expires_at.",
        "SELECT id, action_ref, status, worker_id, lease_expires_at FROM execution"
        " WHERE status IN :ended AND (lease_token IS NOT NULL OR lease_expires_at IS NOT NULL)",
        of="executions_execution",
    ),
    Invariant(
        "not_settled",
        "An execution that has ended is settled.",
        f"Is an executor service running? If it is, {CONSUMER}.",
        "SELECT id, action_ref, status, finished_at FROM execution"
        " WHERE settled_at IS NULL AND finished_at < :age AND NOT EXISTS (SELECT 1 FROM dead_letter d"
        " WHERE d.step = 'settle' AND d.row_id = execution.id AND d.requeued_at IS NULL)",
        of="executions_execution",
    ),
    Invariant(
        "lease_over",
        "An execution whose lease is over is taken back from its worker.",
        "The executor's clock does it twice a second: is an executor service running?",
        "SELECT id, action_ref, status, worker_id, lease_expires_at FROM execution"
        " WHERE status IN ('running', 'canceling') AND lease_expires_at < :age",
        of="executions_execution",
    ),
    Invariant(
        "leased_by_nobody",
        "An execution that runs is under a worker's lease.",
        "Nothing will ever end this execution by itself: set its lease_expires_at to now().",
        "SELECT id, action_ref, status, worker_id FROM execution WHERE status IN ('running', 'canceling')"
        " AND (lease_token IS NULL OR lease_expires_at IS NULL OR worker_id IS NULL)",
        of="executions_execution",
    ),
    Invariant(
        "execution_times_out_of_order",
        "created <= scheduled <= started <= finished <= settled.",
        "These times are the database's own: was its clock set back, or the row written by hand?",
        "SELECT id, action_ref, created, scheduled_at, started_at, finished_at, settled_at FROM execution"
        " WHERE scheduled_at < created OR started_at < GREATEST(created, scheduled_at)"
        " OR finished_at < GREATEST(created, scheduled_at, started_at)"
        " OR settled_at < GREATEST(created, scheduled_at, started_at, finished_at)",
        of="executions_execution",
    ),
    Invariant(
        "waits_without_reason",
        "What waits says for what, in words.",
        "Something else than the lifecycle wrote this row; another check tells if it is stuck.",
        "SELECT id, action_ref, status FROM execution"
        " WHERE status IN ('requested', 'scheduling', 'scheduled', 'canceling')"
        " AND COALESCE(status_reason, '') = ''",
        of="executions_execution",
    ),
    Invariant(
        "not_admitted",
        "An execution that no policy holds back is scheduled when it is due, or joins its policy's queue.",
        "The executor's clock does it twice a second: is an executor service running?",
        "SELECT id, action_ref, status, policy_id, due_at FROM execution"
        " WHERE status = 'requested' AND policy_id IS NULL AND COALESCE(due_at, created) < :age"
        " OR status = 'requested' AND policy_id IS NOT NULL AND due_at < :age"
        " OR status = 'scheduling' AND updated < :age",
        of="executions_execution",
    ),
    Invariant(
        "status_without_its_times",
        "An execution has the times of the states that it has been through, and none of those ahead.",
        "Something else than the lifecycle wrote this row: its history has a step that isn't allowed.",
        """
        SELECT id, action_ref, status, scheduled_at, started_at FROM execution
        WHERE CASE WHEN status IN ('requested', 'scheduling')
                        THEN scheduled_at IS NOT NULL OR started_at IS NOT NULL
                   WHEN status = 'scheduled' THEN scheduled_at IS NULL OR started_at IS NOT NULL
                   WHEN status IN ('running', 'canceling', 'completed', 'timeout', 'abandoned')
                        THEN scheduled_at IS NULL OR started_at IS NULL
                   ELSE started_at IS NOT NULL AND scheduled_at IS NULL END
        """,
        of="executions_execution",
    ),
    Invariant(
        "settled_before_its_end",
        "An execution is settled after it has ended.",
        "Something else than the lifecycle wrote this row; clear settled_at.",
        "SELECT id, action_ref, status, settled_at FROM execution"
        " WHERE settled_at IS NOT NULL AND status NOT IN :ended",
        of="executions_execution",
    ),
    Invariant(
        "result_before_its_end",
        "An execution has a result when it has ended, and not before.",
        "Something else than the lifecycle wrote this row; its attempts tell what came of it.",
        "SELECT id, action_ref, status FROM execution WHERE (result IS NOT NULL) <> (status IN :ended)",
        of="executions_execution",
    ),
    Invariant(
        "due_without_waiting",
        "Only an execution that is requested has a time at which it is due, or a place in a queue.",
        "Something else than the lifecycle wrote this row; clear due_at and queued_at.",
        "SELECT id, action_ref, status, due_at, queued_at FROM execution"
        " WHERE status <> 'requested' AND (due_at IS NOT NULL OR queued_at IS NOT NULL)"
        " OR policy_id IS NULL AND queued_at IS NOT NULL",
        of="executions_execution",
    ),
    Invariant(
        "lease_too_long",
        "A lease ends within ATTUNE_LEASE_SECONDS unless its worker renews it.",
        "Was the database's clock set back, or has a worker another ATTUNE_LEASE_SECONDS? It is missed this"
        " late: set lease_expires_at to now() if it is gone.",
        "SELECT id, action_ref, status, worker_id, lease_expires_at FROM execution"
        " WHERE status IN ('running', 'canceling') AND lease_expires_at > now() + 2 * :lease",
        of="executions_execution",
    ),
    Invariant(
        "leased_by_stranger",
        "A lease is held by a worker that is known.",
        "The worker's row was deleted while it ran this: set lease_expires_at to now() if it is gone.",
        "SELECT x.id, x.action_ref, x.status, x.worker_id FROM execution x"
        " WHERE x.status IN ('running', 'canceling') AND x.worker_id IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM worker w WHERE w.id = x.worker_id)",
        of="executions_execution",
    ),
    Invariant(
        "rerun_of_no_execution",
        "A re-run has its original, for as long as it is kept.",
        "Something else than retention deleted the original; the re-run stands by itself.",
        "SELECT x.id, x.action_ref, x.original_execution_id FROM execution x"
        " WHERE x.original_execution_id IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM execution o WHERE o.id = x.original_execution_id)",
        of="executions_execution",
    ),
    Invariant(
        "child_of_no_execution",
        "A child has its parent, for as long as it is kept.",
        "Something else than retention deleted the parent; cancel the child if it hasn't ended.",
        "SELECT x.id, x.action_ref, x.status, x.parent_id FROM execution x WHERE x.parent_id IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM execution p WHERE p.id = x.parent_id)",
        of="executions_execution",
    ),
    Invariant(
        "child_outlives_parent",
        "The children of an execution have ended when it has ended and is settled.",
        "Cancel the child: nobody waits for it any more.",
        "SELECT x.id, x.action_ref, x.status, x.parent_id FROM execution x"
        " JOIN execution p ON p.id = x.parent_id AND p.settled_at < :age WHERE x.status NOT IN :ended",
        of="executions_execution",
    ),
)
