"""Many rules on one trigger: the processor time that the matcher takes for an event."""

from typing import Any

from benchmarks.bench import Bench
from benchmarks.errors import Incorrect
from benchmarks.stage import Stage
from tests.integration.spine import until

MATCHING = 100  # rules that all match, in the last part
SPEND_MS = 1500.0  # of processor time to measure with: the clock of /proc ticks each 10 ms
FEWEST, MOST = 20, 5_000
MAKE = """
from attune_project.packs.models import Pack
from executions.models import Action
from rules.changes import definition_of, next_revision
from rules.models import Rule, RuleVersion
from sensors.models import Trigger
from django.db import transaction

pack, action = Pack.objects.get(ref="bench"), Action.objects.get(ref="core.noop")


@transaction.atomic
def make(ref, count, clause):
    trigger = Trigger.objects.create(ref=ref, pack=pack, pack_ref=pack.ref, label=ref, enabled=True)
    revision = next_revision()
    rules = Rule.objects.bulk_create(
        Rule(
            ref=f"{ref}_{n}", label="x", pack=pack, pack_ref=pack.ref, trigger=trigger, trigger_ref=ref,
            action=action, action_ref=action.ref, action_params={"message": "{{ event.payload.host }}"},
            conditions={"all": [
                {"field": "payload.host", **clause(n)},
                {"field": "payload.value", "operator": "greater_than", "value": 1},
            ]},
        )
        for n in range(count)
    )
    RuleVersion.objects.bulk_create(
        RuleVersion(
            rule_id=rule.pk, rule_ref=rule.ref, number=1, revision=revision, definition=definition_of(rule)
        )
        for rule in rules
    )
"""
STORE = """
INSERT INTO event (trigger_ref, payload, status, trace_id, created, updated)
SELECT %s, jsonb_build_object('host', 'host-0', 'value', 93.7, 'n', n), 'new', gen_random_uuid(),
       clock_timestamp(), clock_timestamp()
FROM generate_series(1, %s) AS n
"""


# What the first clause of rule n asks of a host that is `host-0`.
EQUAL = 'lambda n: {"operator": "equals", "value": f"host-{n}"}'
ENDS = 'lambda n: {"operator": "endswith", "value": f"-{n}"}'
ALWAYS = 'lambda n: {"operator": "equals", "value": "host-0"}'


def fanout(bench: Bench) -> dict[str, Any]:
    """One event against 1 to 10,000 rules of which one matches, and against 100 that all match.

    Rules that ask for a value can be looked up; `searched` ones have to be tried one by one.
    """
    found: dict[str, Any] = {"unit": "cpu ms/event"}
    searched = min(1_000, bench.sizes.rules[-1])
    sets = {f"rules_{count}": (count, EQUAL) for count in bench.sizes.rules}
    sets[f"searched_{searched}"] = (searched, ENDS)
    sets[f"all_{MATCHING}_match"] = (MATCHING, ALWAYS)
    with bench.alone("sensor", feeders=0) as stage:
        calls = [f'make("bench.{name}", {count}, {clause})' for name, (count, clause) in sets.items()]
        stage.spine.manage("shell", "-v", "0", "-c", "\n".join([MAKE, *calls]))
        for name, (count, clause) in sets.items():
            found[name] = _measure(stage, f"bench.{name}", count if clause == ALWAYS else 1)
    last = found[f"rules_{bench.sizes.rules[-1]}"]
    return {**found, "median": last["sensor"]}


def _measure(stage: Stage, ref: str, matching: int) -> dict[str, float]:
    """Warm up (the sensor compiles the rules once), and match as many events as take a while."""
    _match(stage, ref, FEWEST, matching)
    guess = _match(stage, ref, FEWEST, matching)["sensor"]
    events = int(min(MOST, max(FEWEST, SPEND_MS / max(guess, 0.01))))
    return {"events": events, **_match(stage, ref, events, matching)}


def _match(stage: Stage, ref: str, events: int, matching: int) -> dict[str, float]:
    """Store events while the sensor stands still; return the processor time of each."""
    after = stage.last()
    with stage.held():
        stage.rows.all(STORE, ref, events)
        meter = stage.meter()
    if not until(
        lambda: not stage.rows.one("SELECT EXISTS (SELECT FROM event WHERE status = 'new')"), 300, step=0.05
    ):
        raise Incorrect(f"{ref}: events are not decided")
    spent = {name: ms for name, ms in meter.ms(events).items() if name in ("sensor", "postgres")}
    made = stage.rows.one(
        "SELECT count(*) FROM enforcement WHERE trigger_ref = %s AND event_id > %s", ref, after
    )
    if made != events * matching:
        raise Incorrect(f"{ref}: {made} enforcements of {events} events, not {matching} each")
    return spent
