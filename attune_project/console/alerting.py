"""Tell once when a check turns red: a row per check, a `core.alert` event per change.

Every service but web and worker looks, one at a time; so no single death keeps the alarm silent.
"""

import time
from datetime import datetime

import structlog
from django.db import connection, transaction
from django.utils import timezone

from attune_project.console import checks, checks_messages, checks_steps, step_state
from attune_project.console.checks import Check
from attune_project.console.models import CheckStatus, HealthCheck
from attune_project.messaging import steps
from attune_project.messaging.models import MessageProbe
from attune_project.messaging.ticker import every
from sensors.alerts import Alert, record_alerts

log = structlog.get_logger(__name__)
EVERY = 2.0
# Any number that no other advisory lock of this database uses: "health" in ASCII.
LOCK = 0x6865616C7468
# A shorter pause of the whole machine makes nothing late; a tick of a busy one may take long.
PAUSE_SECONDS = 15.0
CATEGORY = "health"


class Grace:
    """Time for a product that has just started, or a machine that has just woken, to show signs of life."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._last = 0.0

    def over(self, now: float) -> bool:
        """Note a look at this moment (wall clock); tell whether lateness means anything yet."""
        if self._began is None or abs(now - self._last) > PAUSE_SECONDS:
            self._began = now
        self._last = now
        return now - self._began >= step_state.late()

    def begin_again(self) -> None:
        self._began = None


grace = Grace()


@every(EVERY, services=("sensor", "executor", "notifier", "beat"), thread="alerts")
def watch() -> None:
    """Look at the product's health, unless another service does, or it is too early to judge."""
    if not grace.over(time.time()):
        return
    try:
        look()
    except Exception:  # the database was away, so everybody's signs of life are old
        grace.begin_again()
        raise


def look() -> int:
    """Work out every check and tell of those that changed; return how many did."""
    with transaction.atomic():
        if not _is_my_turn():
            return 0
        steps.touch(checks_steps.ALERTS)
        _forget_retired_probes()
        return tell(checks.work_out())


def _is_my_turn() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '5s'")
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return False
    looked = step_state.read().get(checks_steps.ALERTS, step_state.SILENT).polled
    return looked is None or looked >= EVERY / 2


def _forget_retired_probes() -> None:
    for probe in checks_messages.read_probes():
        if checks_messages.is_retired(probe):
            MessageProbe.objects.filter(routing_key=probe.routing_key, service=probe.service).delete()


def tell(found: list[Check]) -> int:
    """Write what changed since the last look, with an alert for each change."""
    before = {row.name: row for row in HealthCheck.objects.all()}
    now = timezone.now()
    changed = [one for one in found if _is_red(before.get(one.name)) == one.ok]
    gone = [row for name, row in before.items() if name not in {one.name for one in found}]
    _write(found, before, now)
    HealthCheck.objects.filter(pk__in=[row.pk for row in gone]).delete()
    ended = [Check(row.name, True) for row in gone if _is_red(row)]
    if changed or ended:
        record_alerts([alert_of(one, now) for one in (*changed, *ended)])
    return len(changed) + len(ended)


def _is_red(row: HealthCheck | None) -> bool:
    return row is not None and row.status == CheckStatus.RED


def _write(found: list[Check], before: dict[str, HealthCheck], now: datetime) -> None:
    """Insert and update only the rows that say something new."""
    rows = []
    for one in found:
        row = before.get(one.name)
        status = CheckStatus.OK if one.ok else CheckStatus.RED
        if row is not None and (row.status, row.reason) == (status, one.reason):
            continue
        since = row.since if row is not None and row.status == status else now
        rows.append(HealthCheck(name=one.name, status=status, reason=one.reason, since=since, updated=now))
    HealthCheck.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["status", "reason", "since", "updated"],
    )


def alert_of(one: Check, now: datetime) -> Alert:
    """Return what is told of a check that changed."""
    return Alert(
        severity="info" if one.ok else "critical",
        category=CATEGORY,
        failure_type="health_check_recovered" if one.ok else "health_check_red",
        component_type="health_check",
        component_ref=one.name,
        summary=f"{one.name} is well again" if one.ok else f"{one.name} is red: {one.reason}",
        correlation_id=f"health:{one.name}",
        dedup_key=f"health:{one.name}:{'ok' if one.ok else 'red'}:{now.isoformat()}",
    )


def red_checks() -> list[HealthCheck]:
    """Return the checks that are red by the last look, oldest trouble first; two small queries.

    When nobody has looked for long, that is what is red: the rows are then old.
    """
    red = list(HealthCheck.objects.filter(status=CheckStatus.RED).order_by("since", "name"))
    return [*red, *(_as_row(one) for one in checks_steps.alerting() if not one.ok)]


def _as_row(one: Check) -> HealthCheck:
    return HealthCheck(name=one.name, status=CheckStatus.RED, reason=one.reason, since=timezone.now())
