"""What the simulated Attune knows: one pack, its rules and a policy; and the rows that each run leaves."""

from typing import Any

from django.db import connection

from attune_project.packs.models import Pack, Worker
from executions.models import Action, Policy
from rules import ruleset
from rules.changes import save_rule
from rules.models import Rule
from sensors.models import Trigger

INSTANT = ["core.echo", "echo"]
# By trigger, which actions follow: (action, least n of the payload).
FOLLOWS = {
    "sim.quick": [("sim.echo", 0)],
    "sim.slow": [("sim.once", 0), ("sim.again", 2)],
    "sim.narrow": [("sim.limited", 0)],
}
ACTIONS: dict[str, dict[str, Any]] = {
    "sim.echo": {"runtime_ref": "core.builtin", "entrypoint": "echo", "idempotent": True},
    "sim.once": {"runtime_ref": "core.shell", "entrypoint": "once.sh", "max_retries": 1},
    "sim.again": {
        "runtime_ref": "core.shell", "entrypoint": "again.sh", "idempotent": True,
        "max_retries": 2, "lost_worker_retries": 1,
    },
    "sim.limited": {
        "runtime_ref": "core.shell", "entrypoint": "limited.sh", "idempotent": True, "lost_worker_retries": 1,
    },
}  # fmt: skip
LEFT_BY_A_RUN = (
    "event, enforcement, rule_evaluation, execution, attempt, log_chunk, policy_slot, policy_group,"
    " timer_slot, step, worker, retention_count"
)
_INTERVAL = {"unit": "seconds", "interval": 60}


def make() -> None:
    """Make the pack, its rules and the policy; the alarms of the core pack have no rule."""
    ruleset._cached = None
    sql("INSERT INTO ruleset_revision (id, revision) VALUES (1, 0) ON CONFLICT DO NOTHING")
    pack = Pack.objects.create(ref="sim", label="Simulation", version="1.0.0")
    core = Pack.objects.create(ref="core", label="Core", version="1.0.0")
    for ref in ("core.alert", "core.intervaltimer"):
        Trigger.objects.create(ref=ref, pack=core, pack_ref="core", label=ref)
    actions = {
        ref: Action.objects.create(ref=ref, pack=pack, pack_ref="sim", label=ref, **values)
        for ref, values in ACTIONS.items()
    }
    for trigger_ref, follows in FOLLOWS.items():
        trigger = Trigger.objects.create(ref=trigger_ref, pack=pack, pack_ref="sim", label=trigger_ref)
        for ref, least in follows:
            conditions = [{"field": "n", "operator": "gte", "value": least}] if least else []
            _rule(f"sim.{ref[4:]}_follows", trigger, actions[ref], conditions=conditions)
    interval = Trigger.objects.get(ref="core.intervaltimer")
    _rule("sim.every_minute", interval, actions["sim.echo"], trigger_params=_INTERVAL)
    Policy.objects.create(ref="sim.limit", action_ref="sim.limited", threshold=1)
    sql("UPDATE trigger SET updated = now() - interval '1 day'")
    # a worker fits by its runtimes alone: no file of the pack is looked for
    sql("UPDATE pack SET storage_path = NULL")


def _rule(ref: str, trigger: Trigger, action: Action, **values: Any) -> Rule:
    named = {"trigger": trigger, "trigger_ref": trigger.ref, "action": action, "action_ref": action.ref}
    of = {"pack": trigger.pack, "pack_ref": trigger.pack_ref}
    return save_rule(Rule(ref=ref, label=ref, **of, **named, **values))


def clean() -> None:
    """Forget all that earlier runs left; timers wait for their first slot again."""
    sql(f"TRUNCATE {LEFT_BY_A_RUN} RESTART IDENTITY CASCADE")
    sql("UPDATE timer SET activated_at = now(), next_fire_at = now() + interval '1 minute', fire_count = 0")


def sql(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else []


def new_worker(number: int) -> int:
    """Return the id of a row for a worker process."""
    return Worker.objects.create(name=f"sim-{number}", capabilities={"labels": {}}).pk


def pass_time(seconds: float, *, timers: bool = True) -> None:
    """Bring nearer what lies ahead; rows that somebody holds at this moment are passed over."""
    _shift("execution", seconds, "due_at", "lease_expires_at")
    if timers:
        _shift("timer", seconds, "next_fire_at", "activated_at")


def _shift(table: str, seconds: float, *columns: str) -> None:
    changes = ", ".join(f"{name} = {name} - interval '{seconds} s'" for name in columns)
    sql(f"UPDATE {table} SET {changes} WHERE id IN (SELECT id FROM {table} FOR UPDATE SKIP LOCKED)")


def grow_old() -> None:
    """Let all that is there have happened two months ago."""
    columns = {
        "event": ("created", "decided_at"),
        "enforcement": ("created", "resolved_at"),
        "execution": ("created", "scheduled_at", "started_at", "finished_at", "settled_at"),
        "attempt": ("started_at", "finished_at"),
        "timer_slot": ("created",),
    }
    for table, names in columns.items():
        _shift(table, 60 * 86400, *names)
