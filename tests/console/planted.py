"""How each invariant is broken, and what looks like it and is as it should be; both from a sound chain."""

POLICY = (
    "INSERT INTO policy (ref, method, threshold, parameters, enabled, is_adhoc, updated)"
    " VALUES ('p', 'enqueue', 1, '{}', true, true, now() - interval '1 hour')"
)
LONG_AGO = "now() - interval '1 hour'"
RUNNING = (
    "UPDATE execution SET status = 'running', finished_at = NULL, settled_at = NULL, result = NULL,"
    " lease_token = gen_random_uuid(), lease_expires_at = now() + interval '10 s'"
)
OPEN = "UPDATE attempt SET status = 'running', finished_at = NULL"
NOT_STARTED = (
    "UPDATE execution SET status = 'scheduled', finished_at = NULL, started_at = NULL, settled_at = NULL,"
    " result = NULL, status_reason = 'waiting for a worker'"
)
REQUESTED = "UPDATE execution SET status = 'requested', scheduled_at = NULL, due_at = now()"
QUEUED = (
    "UPDATE execution SET policy_id = p.id, policy_group = '', due_at = NULL,"
    f" queued_at = {LONG_AGO}, updated = {LONG_AGO} FROM policy p"
)
UNTRIED = "DELETE FROM attempt"
WAITING_GROUP = "INSERT INTO policy_group (policy_id, group_key, waiting) SELECT id, '', true FROM policy"
SLOT = (
    "INSERT INTO policy_slot (policy_id, group_key, execution_id)"
    " SELECT p.id, '', x.id FROM policy p, execution x WHERE x.status = 'scheduled'"
)
ARTIFACT = (
    "INSERT INTO artifact"
    " (ref, scope, owner, type, visibility, retention_policy, retention_limit, last_version)"
    " VALUES ('a', 'system', '', 'file_text', 'private', 'versions', 5, 1)"
)
VERSION = (
    "INSERT INTO artifact_version (artifact_id, version, content_type, size_bytes, sha256, meta)"
    " SELECT id, 1, 'text/plain', 3, '', '{}' FROM artifact"
)
CHUNK = "INSERT INTO artifact_chunk (version_id, place, content) SELECT id, 0, 'abc' FROM artifact_version"
LOG = (
    "INSERT INTO log_chunk (execution_id, attempt, stream, start, size, content)"
    " SELECT id, 1, 'stdout', start, 3, 'abc' FROM execution, unnest(ARRAY[0, {second}]) AS start"
)
SECOND_ATTEMPT = (
    "INSERT INTO attempt (execution_id, number, status, started_at, finished_at)"
    " SELECT execution_id, 2, 'completed', finished_at + interval '1 ms', finished_at + interval '2 ms'"
    " FROM attempt"
)
LATER = "UPDATE execution SET finished_at = finished_at + interval '2 ms'"
CHILD = (
    "INSERT INTO execution (action_ref, status, trace_id, parent_id, status_reason, scheduled_at)"
    " SELECT action_ref, 'scheduled', trace_id, id, 'waiting', clock_timestamp() FROM execution"
)

# name of the invariant -> statements that plant its violation, and what else those break
PLANTED: dict[str, tuple[list[str], set[str]]] = {
    "event_not_decided": ([f"UPDATE event SET status = 'new', created = {LONG_AGO}"], set()),
    "event_decided_without_when": (["UPDATE event SET ruleset_revision = NULL"], set()),
    "match_without_enforcement": (["UPDATE enforcement SET event_id = NULL"], set()),
    "two_events_of_one_key": (
        [
            "DROP INDEX event_trigger_ref_dedup_key_key",
            "INSERT INTO event (trigger_ref, dedup_key, trace_id)"
            " SELECT 'x.y', 'k', trace_id FROM event, generate_series(1, 2)",
        ],
        {"constraint_missing"},
    ),
    "two_slots_of_one_moment": (
        [
            "SET CONSTRAINTS ALL IMMEDIATE",
            "ALTER TABLE timer_slot DROP CONSTRAINT timer_slot_timer_id_scheduled_for_key",
            "INSERT INTO timer_slot (timer_id, scheduled_for, outcome)"
            " SELECT timer_id, scheduled_for, 'skipped' FROM timer_slot",
        ],
        {"constraint_missing"},
    ),
    "slot_without_event": (["UPDATE timer_slot SET event_id = NULL"], set()),
    "event_of_two_slots": (
        [
            "INSERT INTO timer_slot (timer_id, scheduled_for, outcome, event_id)"
            " SELECT timer_id, scheduled_for + interval '1 s', outcome, event_id FROM timer_slot",
        ],
        set(),
    ),
    "trace_lost": (["UPDATE execution SET trace_id = gen_random_uuid()"], set()),
    "two_enforcements_of_one_match": (
        [
            "ALTER TABLE enforcement DROP CONSTRAINT enforcement_event_id_rule_id_key",
            "INSERT INTO enforcement"
            " (rule_id, rule_ref, trigger_ref, event_id, status, rule_version, trace_id, resolved_at)"
            " SELECT rule_id, rule_ref, trigger_ref, event_id, 'disabled', 1, trace_id, clock_timestamp()"
            " FROM enforcement",
        ],
        {"constraint_missing"},
    ),
    "enforcement_not_resolved": (
        [f"UPDATE enforcement SET status = 'created', created = {LONG_AGO}, resolved_at = NULL"],
        set(),
    ),
    "enforcement_without_execution": (
        ["UPDATE enforcement SET execution_id = NULL"],
        {"execution_of_no_enforcement"},
    ),
    "execution_of_no_enforcement": (["DELETE FROM enforcement"], {"match_without_enforcement"}),
    "enforcement_of_no_event": (["DELETE FROM event"], {"slot_without_event"}),
    "enforcement_of_no_match": (
        ["UPDATE rule_version SET definition = definition || '{\"enabled\": false}'"],
        set(),
    ),
    "enforcement_resolved_without_when": (["UPDATE enforcement SET resolved_at = NULL"], set()),
    "disabled_with_execution": (["UPDATE enforcement SET status = 'disabled'"], set()),
    "two_executions_of_one_source": (
        [
            "ALTER TABLE execution DROP CONSTRAINT execution_source_key_key",
            "INSERT INTO execution (source_key, action_ref, status, trace_id, status_reason, scheduled_at)"
            " SELECT source_key, action_ref, 'scheduled', trace_id, 'waiting', clock_timestamp()"
            " FROM execution",
        ],
        {"execution_of_no_enforcement", "constraint_missing"},
    ),
    "ended_without_finish": (
        [
            "ALTER TABLE execution DROP CONSTRAINT execution_finished_check",
            "UPDATE execution SET finished_at = NULL",
        ],
        {"constraint_missing"},
    ),
    "ended_with_lease": (["UPDATE execution SET lease_expires_at = now()"], set()),
    "not_settled": (["UPDATE execution SET settled_at = NULL"], set()),
    "lease_over": ([RUNNING, f"UPDATE execution SET lease_expires_at = {LONG_AGO}", OPEN], set()),
    "leased_by_nobody": ([RUNNING, "UPDATE execution SET lease_expires_at = NULL", OPEN], set()),
    "lease_too_long": (
        [RUNNING, "UPDATE execution SET lease_expires_at = now() + interval '1 hour'", OPEN],
        set(),
    ),
    "leased_by_stranger": ([RUNNING, OPEN, "DELETE FROM worker"], set()),
    "waits_without_reason": ([NOT_STARTED, UNTRIED, "UPDATE execution SET status_reason = ''"], set()),
    "not_admitted": ([NOT_STARTED, UNTRIED, REQUESTED, f"UPDATE execution SET due_at = {LONG_AGO}"], set()),
    "status_without_its_times": ([NOT_STARTED, UNTRIED, "UPDATE execution SET scheduled_at = NULL"], set()),
    "settled_before_its_end": ([NOT_STARTED, UNTRIED, "UPDATE execution SET settled_at = now()"], set()),
    "result_before_its_end": ([NOT_STARTED, UNTRIED, "UPDATE execution SET result = '{}'"], set()),
    "due_without_waiting": (["UPDATE execution SET due_at = now()"], set()),
    "execution_times_out_of_order": (
        ["UPDATE execution SET started_at = finished_at + interval '1 s'"],
        set(),
    ),
    "rerun_of_no_execution": (["UPDATE execution SET original_execution_id = 0"], set()),
    "child_of_no_execution": (["UPDATE execution SET parent_id = 0"], set()),
    "child_outlives_parent": ([CHILD], set()),
    "two_accepted_results": ([SECOND_ATTEMPT], set()),
    "attempt_left_open": ([OPEN], {"ended_unlike_its_attempt", "two_accepted_results"}),
    "too_many_attempts": (
        [
            "INSERT INTO attempt (execution_id, number, status, started_at, finished_at)"
            " SELECT id, n, 'abandoned', finished_at, finished_at FROM execution, generate_series(2, 5) n",
        ],
        {"ended_unlike_its_attempt"},
    ),
    "attempts_with_gap": (["UPDATE attempt SET number = 2"], set()),
    "attempts_overlap": (
        [
            "UPDATE attempt SET status = 'failed'",
            SECOND_ATTEMPT.replace("finished_at + interval '1 ms'", "started_at"),
            LATER,
            "UPDATE execution SET retry_count = 1, max_retries = 1",
        ],
        set(),
    ),
    "attempt_ended_without_status": (
        ["UPDATE attempt SET status = 'running'"],
        {"ended_unlike_its_attempt", "two_accepted_results"},
    ),
    "ended_unlike_its_attempt": (
        ["UPDATE execution SET status = 'failed'", "UPDATE attempt SET status = 'timeout'"],
        set(),
    ),
    "retries_miscounted": (["UPDATE execution SET retry_count = 1, max_retries = 1"], set()),
    "unrepeatable_repeated": (
        [
            "UPDATE action SET updated = now() - interval '1 hour'",
            "UPDATE attempt SET status = 'abandoned'",
            SECOND_ATTEMPT,
            LATER,
        ],
        set(),
    ),
    "attempt_of_no_execution": (
        ["INSERT INTO progress (execution_id, percent) VALUES (0, 1)"],
        set(),
    ),
    "log_of_no_attempt": ([LOG.format(second=3), "UPDATE log_chunk SET attempt = 2"], set()),
    "log_told_twice": ([LOG.format(second=2)], set()),
    "artifact_incomplete": ([ARTIFACT, VERSION], set()),
    "artifact_version_unknown": ([ARTIFACT, VERSION, CHUNK, "UPDATE artifact SET last_version = 0"], set()),
    "attempt_times_out_of_order": (["UPDATE attempt SET started_at = finished_at + interval '1 s'"], set()),
    "chain_times_out_of_order": (["UPDATE event SET decided_at = created - interval '1 s'"], set()),
    "slot_held_by_ended": (
        [
            POLICY,
            "UPDATE execution SET policy_id = p.id, policy_group = '' FROM policy p",
            SLOT.replace("scheduled", "completed"),
        ],
        set(),
    ),
    "started_without_slot": (
        [
            POLICY,
            NOT_STARTED,
            "UPDATE execution SET policy_id = p.id, policy_group = '' FROM policy p",
            UNTRIED,
        ],
        set(),
    ),
    "too_many_slots": (
        [
            POLICY,
            NOT_STARTED,
            UNTRIED,
            "INSERT INTO execution (action_ref, status, trace_id, status_reason)"
            " VALUES ('a.b', 'scheduled', gen_random_uuid(), 'waiting')",
            "UPDATE policy_stamp SET updated = now() - interval '1 hour', resolved = stamp",
            "UPDATE execution SET policy_id = p.id, policy_group = '', scheduled_at = clock_timestamp()"
            " FROM policy p",
            SLOT,
        ],
        set(),
    ),
    "slot_of_another_group": (
        [
            POLICY,
            NOT_STARTED,
            UNTRIED,
            "UPDATE execution SET policy_id = p.id, policy_group = 'other' FROM policy p",
            SLOT,
        ],
        set(),
    ),
    "waits_in_no_queue": (
        [
            POLICY,
            NOT_STARTED,
            UNTRIED,
            REQUESTED,
            "UPDATE execution SET policy_id = p.id, policy_group = '', due_at = NULL FROM policy p",
        ],
        set(),
    ),
    "waits_unseen": (
        [POLICY, NOT_STARTED, UNTRIED, REQUESTED, QUEUED],
        set(),
    ),
    "waits_too_long": (
        [
            POLICY,
            NOT_STARTED,
            UNTRIED,
            REQUESTED,
            QUEUED,
            WAITING_GROUP,
            "UPDATE policy SET max_queue_age = 60, rate_limit = 1, rate_seconds = 1",
            f"UPDATE policy SET updated = {LONG_AGO}",
        ],
        set(),
    ),
    "free_slot_not_taken": ([POLICY, NOT_STARTED, UNTRIED, REQUESTED, QUEUED, WAITING_GROUP], set()),
    "policies_not_applied": (
        [POLICY, "UPDATE policy_stamp SET resolved = NULL, updated = now() - interval '1 hour'"],
        set(),
    ),
    "timer_overdue": ([f"UPDATE timer SET next_fire_at = {LONG_AGO}"], set()),
    "constraint_missing": (["ALTER TABLE attempt DROP CONSTRAINT attempt_status_check"], set()),
}

# what is lawful, however odd it looks
LAWFUL: dict[str, list[str]] = {
    "a retry that succeeded": [
        "UPDATE attempt SET status = 'failed'",
        SECOND_ATTEMPT,
        LATER,
        "UPDATE execution SET retry_count = 1, max_retries = 2",
    ],
    "a retry that waits": [
        "UPDATE attempt SET status = 'timeout'",
        NOT_STARTED,
        REQUESTED,
        "UPDATE execution SET retry_count = 1, max_retries = 2, due_at = now() + interval '1 min'",
    ],
    "an idempotent action that was tried again": [
        "UPDATE action SET idempotent = true, lost_worker_retries = 1, updated = now() - interval '1 hour'",
        "UPDATE attempt SET status = 'abandoned'",
        SECOND_ATTEMPT,
        LATER,
    ],
    "a lost worker": [
        "UPDATE attempt SET status = 'abandoned'",
        "UPDATE execution SET status = 'abandoned'",
    ],
    "cancelled before its start": [
        UNTRIED,
        "UPDATE execution SET status = 'cancelled', started_at = NULL, scheduled_at = NULL",
    ],
    "stopped while it ran": ["UPDATE execution SET status = 'cancelled'"],
    "parameters that did not fit": [
        UNTRIED,
        "UPDATE execution SET status = 'failed', started_at = NULL, scheduled_at = NULL",
    ],
    "running": [RUNNING, OPEN],
    "more than a lowered threshold": [
        POLICY,
        NOT_STARTED,
        UNTRIED,
        "INSERT INTO execution (action_ref, status, trace_id, status_reason)"
        " VALUES ('a.b', 'scheduled', gen_random_uuid(), 'waiting')",
        "UPDATE execution SET policy_id = p.id, policy_group = '', scheduled_at = execution.created"
        " FROM policy p",
        SLOT,
        "UPDATE policy_stamp SET resolved = stamp, updated = clock_timestamp() + interval '1 ms'",
    ],
    "a log of two pieces": [LOG.format(second=3)],
    "an artifact": [ARTIFACT, VERSION, CHUNK],
}
