"""Events, and the timers that make them."""

from attune_project.console.invariants.invariant import CONSUMER, Invariant

EVENTS = (
    Invariant(
        "event_not_decided",
        "An accepted event is decided.",
        f"Is a sensor service running? If it is, {CONSUMER}.",
        "SELECT id, trigger_ref, created FROM event WHERE status = 'new' AND created < :age"
        " AND NOT EXISTS (SELECT 1 FROM dead_letter d WHERE d.step = 'match' AND d.row_id = event.id"
        " AND d.requeued_at IS NULL)",
        of="sensors_event",
    ),
    Invariant(
        "event_decided_without_when",
        "A decided event says when, and by which revision of the rules.",
        "Something else than the matcher wrote this row; set it back to status new to decide it again.",
        "SELECT id, trigger_ref, decided_at, ruleset_revision FROM event"
        " WHERE status = 'decided' AND (decided_at IS NULL OR ruleset_revision IS NULL)",
        of="sensors_event",
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
        of="sensors_event",
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
        "timer_overdue",
        "An enabled timer fires when it is due.",
        "Is a beat service running, and does it lead? Its log says so; the check `timers` says since when.",
        "SELECT id, rule_id, trigger_ref, next_fire_at FROM timer"
        " WHERE enabled AND rule_id IS NOT NULL AND next_fire_at < :age",
        of="sensors_timer",
    ),
    Invariant(
        "two_events_of_one_key",
        "Something that is reported twice under one dedup key is one event.",
        "The index event_trigger_ref_dedup_key_key is missing: run manage.py migrate.",
        "SELECT trigger_ref, dedup_key, count(*) AS events, max(id) AS id FROM event"
        " WHERE dedup_key IS NOT NULL GROUP BY trigger_ref, dedup_key HAVING count(*) > 1",
        of="sensors_event",
    ),
    Invariant(
        "two_slots_of_one_moment",
        "A timer has one slot for a moment, however many beats run.",
        "The constraint timer_slot_timer_id_scheduled_for_key is missing: run manage.py migrate.",
        "SELECT timer_id AS id, scheduled_for, count(*) AS slots FROM timer_slot"
        " GROUP BY timer_id, scheduled_for HAVING count(*) > 1",
        of="sensors_timer",
    ),
    Invariant(
        "slot_without_event",
        "A slot of a timer that fired has its event.",
        "Something else than beat wrote the slot or deleted the event: record the event by hand.",
        "SELECT s.id, s.timer_id, s.scheduled_for, s.outcome, s.event_id FROM timer_slot s"
        " WHERE s.outcome IN ('fired', 'late') AND s.created > now() - interval '1 day'"
        " AND NOT EXISTS (SELECT 1 FROM event e WHERE e.id = s.event_id)",
        of="sensors_timerslot",
    ),
    Invariant(
        "event_of_two_slots",
        "An event of a timer is that of one slot.",
        "Something else than beat wrote these slots: compare their moments with the event's payload.",
        "SELECT event_id AS id, count(*) AS slots FROM timer_slot WHERE event_id IS NOT NULL"
        " GROUP BY event_id HAVING count(*) > 1",
        of="sensors_event",
    ),
    Invariant(
        "trace_lost",
        "One trace id goes from the event to its enforcements and to their executions.",
        "Nothing is lost but the thread: the trace page of the event won't show the row that is named here.",
        """
        SELECT 'enforcement' AS kind, n.id, n.trace_id, e.trace_id AS before
        FROM enforcement n JOIN event e ON e.id = n.event_id WHERE n.trace_id <> e.trace_id
        UNION ALL
        SELECT 'execution', x.id, x.trace_id, n.trace_id
        FROM enforcement n JOIN execution x ON x.id = n.execution_id WHERE x.trace_id <> n.trace_id
        """,
    ),
)
