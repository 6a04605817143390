"""A check that turns red is told once, and once when it is well again."""

import time

import pytest
from django.db import OperationalError

from attune_project.console import alerting, checks, checks_steps, step_state
from attune_project.console.alerting import Grace, red_checks, tell
from attune_project.console.checks import Check
from attune_project.console.models import HealthCheck
from attune_project.messaging.models import MessageProbe, Step
from sensors.models import Event

pytestmark = pytest.mark.django_db
RED = Check("canary", False, "It died.")
OK = Check("canary", True)


@pytest.fixture(autouse=True)
def _alert_trigger(canary_rule, rung, monkeypatch):
    monkeypatch.setattr(alerting, "grace", Grace())


@pytest.fixture
def world(monkeypatch):
    """Let the checks be these."""
    return lambda *found: monkeypatch.setattr(checks, "_checks", [("world", lambda: list(found))])


def alerts():
    rows = Event.objects.filter(trigger_ref="core.alert").order_by("id")
    return [(row.payload["severity"], row.payload["summary"]) for row in rows]


def test_what_is_well_from_the_start_is_no_news():
    assert tell([OK]) == 0

    assert alerts() == []
    assert HealthCheck.objects.get().status == "ok"


def test_an_unanswered_probe_is_told_well_within_thirty_seconds(settings):
    """A busy machine is late with a look at them, too."""
    assert settings.ATTUNE_PROBE_LATE_SECONDS + alerting.EVERY <= 22


def test_red_is_told_once():
    tell([OK])

    assert [tell([RED]), tell([RED]), tell([Check("canary", False, "It is still dead.")])] == [1, 0, 0]
    assert alerts() == [("critical", "canary is red: It died.")]
    assert HealthCheck.objects.get().reason == "It is still dead."


def test_red_from_the_start_is_told():
    tell([RED])

    assert alerts() == [("critical", "canary is red: It died.")]


def test_an_alert_names_its_check():
    tell([RED])

    event = Event.objects.get(trigger_ref="core.alert")
    assert event.payload["correlation_id"] == "health:canary"
    assert (event.payload["component_type"], event.payload["component_ref"]) == ("health_check", "canary")
    assert event.dedup_key.startswith("health:canary:red:")


def test_well_again_clears_by_itself():
    tell([RED])

    assert tell([OK]) == 1
    assert alerts()[1:] == [("info", "canary is well again")]
    assert red_checks() == []


def test_a_second_incident_is_told_again():
    for one in (RED, OK, RED):
        tell([one])

    assert [severity for severity, _ in alerts()] == ["critical", "info", "critical"]


def test_since_stays_for_as_long_as_it_is_red():
    tell([RED])
    since = HealthCheck.objects.get().since
    tell([Check("canary", False, "It is still dead.")])

    assert HealthCheck.objects.get().since == since


def test_a_check_that_no_longer_exists_is_forgotten():
    tell([RED, Check("timers", True)])
    tell([Check("timers", True)])

    assert [row.name for row in HealthCheck.objects.all()] == ["timers"]
    assert alerts()[-1] == ("info", "canary is well again")


def late_probe(service, ok=False, cause="message:event.created"):
    return Check(f"probe:event.created:{service}", ok, None if ok else "Unanswered.", cause)


def test_what_turns_red_of_one_cause_is_one_alert():
    assert tell([late_probe("beat"), late_probe("web"), RED]) == 2

    assert alerts() == [
        ("critical", "probe:event.created:beat is red: Unanswered. (of one cause, message:event.created:"
         " probe:event.created:web)"),
        ("critical", "canary is red: It died."),
    ]  # fmt: skip
    event = Event.objects.filter(trigger_ref="core.alert").earliest("id")
    assert event.payload["correlation_id"] == "health:message:event.created"
    assert event.payload["details"] == {
        "cause": "message:event.created", "count": 2,
        "checks": ["probe:event.created:beat", "probe:event.created:web"],
    }  # fmt: skip


def test_what_joins_a_cause_later_is_counted_and_not_told():
    tell([late_probe("beat"), late_probe("web", ok=True)])

    assert tell([late_probe("beat"), late_probe("web")]) == 0
    assert HealthCheck.objects.filter(status="red", cause="message:event.created").count() == 2


def test_a_cause_is_over_with_its_last_check_and_says_how_many_there_were():
    tell([late_probe("beat"), late_probe("web", ok=True)])
    tell([late_probe("beat"), late_probe("web")])

    assert tell([late_probe("beat", ok=True), late_probe("web")]) == 0
    assert tell([late_probe("beat", ok=True), late_probe("web", ok=True)]) == 1
    assert alerts()[1:] == [
        ("info", "probe:event.created:beat is well again (of one cause, message:event.created:"
         " probe:event.created:web)"),
    ]  # fmt: skip
    assert set(HealthCheck.objects.values_list("cause", flat=True)) == {None}


def test_a_check_that_comes_and_goes_while_its_cause_lasts_is_told_once():
    for ok in (False, True, False, True):
        tell([late_probe("beat"), late_probe("web", ok=ok)])

    assert len(alerts()) == 1


def test_a_check_keeps_the_cause_that_it_began_with():
    tell([late_probe("beat")])
    tell([late_probe("beat", cause="broker"), late_probe("web", cause="broker")])

    assert [row.cause for row in HealthCheck.objects.order_by("name")] == ["message:event.created", "broker"]
    tell([late_probe("beat", ok=True), late_probe("web", cause="broker")])
    assert [severity for severity, _ in alerts()] == ["critical", "critical", "info"]


def test_a_long_list_of_checks_is_cut(monkeypatch):
    tell([late_probe(f"s{number:02}") for number in range(25)])

    assert alerts()[0][1].endswith(", probe:event.created:s20 and 4 more)")


def test_red_checks_are_what_the_admin_shows(django_assert_num_queries):
    tell([RED, Check("timers", True)])
    Step.objects.create(name="alerts", polled_at=HealthCheck.objects.first().since)

    with django_assert_num_queries(2):
        found = red_checks()

    assert [(row.name, row.reason) for row in found] == [("canary", "It died.")]


def test_red_checks_say_when_nobody_looks(ago, monkeypatch):
    monkeypatch.setattr(checks_steps, "STARTED", time.monotonic() - 5000)
    Step.objects.create(name="alerts", polled_at=ago(60))

    assert [row.name for row in red_checks()] == ["alerts"]


def test_a_look_works_out_all_and_says_that_it_looked(world):
    world(RED)

    assert alerting.look() == 1
    assert step_state.read()["alerts"].polled < 5


def test_only_one_service_looks_at_a_time(world, ago):
    world(RED)
    Step.objects.create(name="alerts", polled_at=ago(0.5))

    assert alerting.look() == 0
    assert alerts() == []


def test_a_look_removes_retired_probes(world, ago):
    world(OK)
    common = {"message_type": "x", "service": "sensor", "sent_at": ago(1)}
    MessageProbe.objects.create(routing_key="gone.away", **common)
    MessageProbe.objects.create(routing_key="enforcement.created", **common)

    alerting.look()

    assert [row.routing_key for row in MessageProbe.objects.all()] == ["enforcement.created"]


def test_nothing_is_judged_in_the_first_seconds():
    grace = Grace()

    assert [grace.over(1000.0 + after) for after in (0, 2, 8, 16, 19, 20, 22)] == [False] * 5 + [True] * 2


def test_a_machine_that_slept_gets_its_grace_again():
    grace = Grace()
    for after in range(0, 30, 2):
        grace.over(1000.0 + after)

    assert grace.over(1030.0)
    assert not grace.over(5000.0)


def test_grace_begins_again_when_the_database_was_away(monkeypatch):
    def away():
        raise OperationalError("gone")

    monkeypatch.setattr(alerting, "look", away)
    monkeypatch.setattr(step_state, "late", lambda: 0.0)
    with pytest.raises(OperationalError):
        alerting.watch()

    assert alerting.grace._began is None


def test_the_tick_waits_for_the_grace(world, monkeypatch):
    world(RED)

    alerting.watch()

    assert alerts() == []
