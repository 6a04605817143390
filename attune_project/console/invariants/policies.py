"""Policies: their slots and queues."""

from attune_project.console.invariants.invariant import Invariant

POLICIES = (
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
        of="executions_execution",
    ),
    Invariant(
        "waits_in_no_queue",
        "A requested execution of a policy stands in its queue, or joins it when it is due.",
        "Set its due_at to now(): the executor's clock puts it into the queue.",
        "SELECT id, action_ref, policy_id, policy_group FROM execution WHERE status = 'requested'"
        " AND policy_id IS NOT NULL AND queued_at IS NULL AND due_at IS NULL",
        of="executions_execution",
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
        "too_many_slots",
        "No more executions of a policy's group run at once than it allows, but those from before a change.",
        "The group admits nobody until there are fewer: report it with the executions.",
        """
        SELECT p.id, p.ref, s.group_key, p.threshold, count(*) AS slots
        FROM policy_slot s JOIN policy p ON p.id = s.policy_id JOIN execution x ON x.id = s.execution_id
        WHERE x.scheduled_at > (SELECT max(updated) FROM policy_stamp)
        GROUP BY p.id, s.group_key HAVING count(*) > p.threshold
        """,
        of="executions_policy",
    ),
    Invariant(
        "slot_of_another_group",
        "An execution's slot is one of its own policy and group.",
        "Something else than the lifecycle wrote one of the rows; the slot is freed when the execution ends.",
        "SELECT x.id, x.action_ref, x.policy_id, x.policy_group, s.policy_id AS slot_policy, s.group_key"
        " FROM policy_slot s JOIN execution x ON x.id = s.execution_id"
        " WHERE s.policy_id IS DISTINCT FROM x.policy_id OR s.group_key IS DISTINCT FROM x.policy_group",
        of="executions_execution",
    ),
    Invariant(
        "waits_unseen",
        "A group in whose queue something stands is known to have something that waits.",
        "Set waiting to true at the policy's group: the executor's clock lets in who waits.",
        """
        SELECT x.policy_id AS id, p.ref, x.policy_group, count(*) AS waiting
        FROM execution x JOIN policy p ON p.id = x.policy_id AND p.enabled AND p.updated < :age
        WHERE x.status = 'requested' AND x.queued_at < :age
          AND NOT EXISTS (SELECT 1 FROM policy_group g WHERE g.policy_id = x.policy_id
                          AND g.group_key = x.policy_group AND g.waiting)
        GROUP BY x.policy_id, p.ref, x.policy_group
        """,
        of="executions_policy",
    ),
    Invariant(
        "waits_too_long",
        "What waits for longer than its policy allows is ended.",
        "The executor's clock does it twice a second: is an executor service running?",
        "SELECT x.id, x.action_ref, p.ref AS policy_ref, x.queued_at FROM execution x"
        " JOIN policy p ON p.id = x.policy_id AND p.enabled AND p.updated < :age"
        " WHERE x.status = 'requested' AND x.queued_at < :age - make_interval(secs => p.max_queue_age)",
        of="executions_execution",
    ),
    Invariant(
        "policies_not_applied",
        "After a change of policies all that waits is put under the policy that holds now.",
        "The executor's clock does it: is an executor service running? Its log says what stops it.",
        "SELECT id, stamp, resolved, resolved_upto, updated FROM policy_stamp"
        " WHERE resolved IS DISTINCT FROM stamp AND updated < :age",
    ),
)
