"""core.alert: the product's own word that something is wrong, as an ordinary event."""

import uuid
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.utils import timezone

from sensors.recording import NewEvent, Recorded, record_events

log = structlog.get_logger(__name__)
TRIGGER = "core.alert"


@dataclass(frozen=True)
class Alert:
    """What a `core.alert` says. `dedup_key` keeps one incident from being told twice."""

    severity: str  # info, warning, critical
    category: str
    failure_type: str
    component_type: str
    summary: str
    component_id: str | None = None
    component_ref: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    correlation_id: str | None = None
    dedup_key: str | None = None
    trace_id: uuid.UUID | None = None

    def payload(self) -> dict[str, Any]:
        fields = {
            "severity": self.severity,
            "category": self.category,
            "failure_type": self.failure_type,
            "component_type": self.component_type,
            "component_id": self.component_id,
            "component_ref": self.component_ref,
            "observed_at": timezone.now().isoformat(),
            "summary": self.summary,
            "details": self.details,
            "correlation_id": self.correlation_id,
        }
        return {name: value for name, value in fields.items() if value is not None}


def record_alerts(alerts: list[Alert]) -> None:
    """Record alerts in the caller's transaction. One that is refused is logged, never raised."""
    events = [
        NewEvent(
            TRIGGER,
            payload=alert.payload(),
            source_ref="attune",
            dedup_key=alert.dedup_key,
            trace_id=alert.trace_id,
        )
        for alert in alerts
    ]
    for alert, outcome in zip(alerts, record_events(events), strict=True):
        tell = log.info if alert.severity == "info" else log.error
        tell("alert", summary=alert.summary, correlation_id=alert.correlation_id)
        if not isinstance(outcome, Recorded):
            log.error("alert not recorded", reason=str(outcome))
