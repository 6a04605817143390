"""Tell once when checks turn red: a row per check, a `core.alert` event per cause that begins or ends.

Every service but web and worker looks, one at a time; so no single death keeps the alarm silent.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
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
MOST_NAMED = 20  # checks in the words of an alert


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
    """Write what changed since the last look, with an alert for each cause that began or ended."""
    before = {row.name: row for row in HealthCheck.objects.all()}
    now = timezone.now()
    incidents = [*begun(found, before), *over(found, before)]
    gone = [row.pk for name, row in before.items() if name not in {one.name for one in found}]
    _write(found, before, now)
    HealthCheck.objects.filter(pk__in=gone).delete()
    ended = [one.cause for one in incidents if one.ok]
    if ended:
        HealthCheck.objects.filter(cause__in=ended).update(cause=None)
    if incidents:
        record_alerts([alert_of(one, now) for one in incidents])
    return len(incidents)


@dataclass(frozen=True)
class Incident:
    """What is told of a cause: it made these checks red, or (`ok`) all that it made red are well again."""

    cause: str
    ok: bool
    checks: dict[str, str | None]  # reasons by name

    @property
    def summary(self) -> str:
        name, reason = next(iter(self.checks.items()))
        first = f"{name} is well again" if self.ok else f"{name} is red: {reason}"
        others = [one for one in self.checks if one != name]
        if not others:
            return first
        more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
        return f"{first} (of one cause, {self.cause}: {', '.join(others[:MOST_NAMED])}{more})"


def begun(found: list[Check], before: Mapping[str, HealthCheck]) -> list[Incident]:
    """Return the causes of which checks are red now, and none was: what joins one later is counted only."""
    known = {_cause(row) for row in before.values() if _is_red(row)}
    news: dict[str, dict[str, str | None]] = {}
    for one in found:
        cause = cause_of(one, before.get(one.name))
        if not one.ok and cause not in known:
            news.setdefault(cause, {})[one.name] = one.reason
    return [Incident(cause, False, checks) for cause, checks in news.items()]


def over(found: list[Check], before: Mapping[str, HealthCheck]) -> list[Incident]:
    """Return the causes of which checks were red, and none is: with all the checks that ever were."""
    active = {cause_of(one, before.get(one.name)) for one in found if not one.ok}
    were: dict[str, dict[str, str | None]] = {}
    for name, row in sorted(before.items()):
        if row.cause is not None or _is_red(row):
            were.setdefault(_cause(row), {})[name] = None
    return [Incident(cause, True, names) for cause, names in were.items() if cause not in active]


def cause_of(one: Check, row: HealthCheck | None) -> str:
    """Return the cause of a red check: the one that it began with, as long as it stays red."""
    return _cause(row) if row is not None and _is_red(row) else one.cause or one.name


def _cause(row: HealthCheck) -> str:
    return row.cause or row.name


def _is_red(row: HealthCheck | None) -> bool:
    return row is not None and row.status == CheckStatus.RED


def _write(found: list[Check], before: Mapping[str, HealthCheck], now: datetime) -> None:
    """Insert and update only the rows that say something new."""
    rows = []
    for one in found:
        row = before.get(one.name)
        status = CheckStatus.OK if one.ok else CheckStatus.RED
        if row is not None and (row.status, row.reason) == (status, one.reason):
            continue
        since = row.since if row is not None and row.status == status else now
        kept = None if row is None else row.cause
        cause = kept if one.ok else cause_of(one, row)
        rows.append(
            HealthCheck(
                name=one.name, status=status, reason=one.reason, since=since, cause=cause, updated=now
            )
        )
    HealthCheck.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["status", "reason", "since", "cause", "updated"],
    )


def alert_of(one: Incident, now: datetime) -> Alert:
    return Alert(
        severity="info" if one.ok else "critical",
        category=CATEGORY,
        failure_type="health_check_recovered" if one.ok else "health_check_red",
        component_type="health_check",
        component_ref=next(iter(one.checks)),
        summary=one.summary,
        details={"cause": one.cause, "count": len(one.checks), "checks": list(one.checks)},
        correlation_id=f"health:{one.cause}",
        dedup_key=f"health:{one.cause}:{'ok' if one.ok else 'red'}:{now.isoformat()}",
    )


def red_checks() -> list[HealthCheck]:
    """Return the checks that are red by the last look, oldest trouble first; two small queries.

    When nobody has looked for long, that is what is red: the rows are then old.
    """
    red = list(HealthCheck.objects.filter(status=CheckStatus.RED).order_by("since", "name"))
    return [*red, *(_as_row(one) for one in checks_steps.alerting() if not one.ok)]


def _as_row(one: Check) -> HealthCheck:
    return HealthCheck(name=one.name, status=CheckStatus.RED, reason=one.reason, since=timezone.now())
