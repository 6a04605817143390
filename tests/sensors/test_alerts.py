"""An alert is an event and a line of the log."""

import pytest
import structlog
from structlog.testing import capture_logs

from sensors import alerts
from sensors.alerts import TRIGGER, Alert, record_alerts
from sensors.models import Event, Trigger

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_logger(monkeypatch):
    """A logger that was used before keeps its way out, so nothing would be captured."""
    monkeypatch.setattr(alerts, "log", structlog.get_logger("alerts"))


def alert(severity: str) -> Alert:
    return Alert(
        severity=severity,
        category="health",
        failure_type="health_check_red",
        component_type="health_check",
        summary="canary says something",
    )


@pytest.mark.parametrize(("severity", "level"), [("critical", "error"), ("info", "info")])
def test_good_news_is_no_error_in_the_log(severity, level):
    Trigger.objects.create(ref=TRIGGER, label="Alert")

    with capture_logs() as lines:
        record_alerts([alert(severity)])

    assert [(line["event"], line["log_level"]) for line in lines] == [("alert", level)]
    assert Event.objects.get(trigger_ref=TRIGGER).payload["summary"] == "canary says something"


def test_an_alert_that_cannot_be_recorded_is_still_told():
    with capture_logs() as lines:
        record_alerts([alert("critical")])

    assert [line["event"] for line in lines] == ["alert", "alert not recorded"]
