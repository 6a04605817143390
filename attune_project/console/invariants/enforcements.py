"""Enforcements, and the executions that they owe."""

from attune_project.console.invariants.invariant import CONSUMER, Invariant

ENFORCEMENTS = (
    Invariant(
        "two_enforcements_of_one_match",
        "An event has at most one enforcement of a rule.",
        "The constraint enforcement_event_id_rule_id_key is missing: run manage.py migrate.",
        "SELECT event_id, rule_id, count(*) AS enforcements, max(id) AS id FROM enforcement"
        " WHERE event_id IS NOT NULL AND rule_id IS NOT NULL GROUP BY event_id, rule_id HAVING count(*) > 1",
        of="rules_enforcement",
    ),
    Invariant(
        "enforcement_not_resolved",
        "An enforcement gets its execution.",
        f"Is an executor service running? If it is, {CONSUMER}.",
        "SELECT id, rule_ref, event_id, created FROM enforcement WHERE status = 'created'"
        " AND created < :age AND NOT EXISTS (SELECT 1 FROM dead_letter d WHERE d.step = 'enforce'"
        " AND d.row_id = enforcement.id AND d.requeued_at IS NULL)",
        of="rules_enforcement",
    ),
    Invariant(
        "enforcement_without_execution",
        "A processed enforcement has the execution that was made for it.",
        "Set the enforcement back to status created: the executor then makes the execution (never two).",
        "SELECT n.id, n.rule_ref, n.execution_id, x.source_key"
        " FROM enforcement n LEFT JOIN execution x ON x.id = n.execution_id"
        " WHERE n.status = 'processed' AND x.source_key IS DISTINCT FROM 'enforcement:' || n.id",
        of="rules_enforcement",
    ),
    Invariant(
        "execution_of_no_enforcement",
        "An execution made for an enforcement is the one that the enforcement names.",
        "Compare both rows; the execution ran, so the enforcement should name it.",
        "SELECT x.id, x.source_key, n.execution_id FROM execution x"
        " LEFT JOIN enforcement n ON n.id = split_part(x.source_key, ':', 2)::bigint"
        " WHERE x.source_key ~ '^enforcement:[0-9]{1,18}$' AND n.execution_id IS DISTINCT FROM x.id",
        of="executions_execution",
    ),
    Invariant(
        "two_executions_of_one_source",
        "One source has one execution.",
        "The constraint execution_source_key_key is missing: run manage.py migrate, cancel the extra.",
        "SELECT source_key, count(*) AS executions, max(id) AS id FROM execution"
        " WHERE source_key IS NOT NULL GROUP BY source_key HAVING count(*) > 1",
        of="executions_execution",
    ),
    Invariant(
        "enforcement_of_no_event",
        "An enforcement that an event led to has its event, for as long as it is kept.",
        "Something else than retention deleted the event; the enforcement goes when it is old enough.",
        "SELECT n.id, n.rule_ref, n.event_id FROM enforcement n WHERE n.event_id IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM event e WHERE e.id = n.event_id)",
        of="rules_enforcement",
    ),
    Invariant(
        "enforcement_of_no_match",
        "A rule is enforced for events of its trigger, as it stood enabled when the event was decided.",
        "Matching used a rule that it should not have: keep the database as it is and report it.",
        """
        SELECT n.id, n.rule_ref, n.rule_version, n.event_id, e.trigger_ref
        FROM enforcement n JOIN event e ON e.id = n.event_id AND e.status = 'decided'
        LEFT JOIN rule_version v ON v.rule_id = n.rule_id AND v.number = n.rule_version
        WHERE n.rule_id IS NOT NULL AND (
            v.id IS NULL OR v.definition ->> 'enabled' <> 'true' OR v.revision > e.ruleset_revision
            OR v.definition ->> 'trigger_ref' <> e.trigger_ref OR n.trigger_ref <> e.trigger_ref
            OR e.rule_id <> n.rule_id)
        """,
        of="rules_enforcement",
    ),
    Invariant(
        "enforcement_resolved_without_when",
        "An enforcement that is resolved says when.",
        "Something else than the executor wrote this row; set resolved_at to its updated.",
        "SELECT id, rule_ref, status, created FROM enforcement"
        " WHERE status <> 'created' AND resolved_at IS NULL",
        of="rules_enforcement",
    ),
    Invariant(
        "disabled_with_execution",
        "An enforcement whose rule was off by then has no execution.",
        "Something else than the executor wrote this row; if the execution is its own, set status processed.",
        "SELECT id, rule_ref, execution_id FROM enforcement"
        " WHERE status = 'disabled' AND execution_id IS NOT NULL",
        of="rules_enforcement",
    ),
)
