"""The simulation can fail: it finds each bug that is planted here, the quickest in every run of the tests.

`ATTUNE_TEST_LONG=1` plants them all.
"""

import os
from collections.abc import Callable

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from attune_project.messaging import steps
from executions.lifecycle import finishing, freeing, losing
from rules import matching
from tests.simulation.machine import Machine

TERMS = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
Plant = Callable[[pytest.MonkeyPatch], None]


def spoiled(module: object, name: str, *changes: tuple[str, str]) -> Plant:
    """Return a plant that has a statement of the product say something else."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        text = getattr(module, name)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        monkeypatch.setattr(module, name, text)

    return plant


def decided_before_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are marked in a transaction of their own, before their enforcements are made."""

    def decide_all(ids, revision, matches):
        matching.rows_of(matching._DECIDE, [revision, ids])
        transaction.get_connection().commit()
        return before(ids, revision, matches)

    before = matching._decide_all
    monkeypatch.setattr(matching, "_decide_all", decide_all)


def polls_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step that makes executions finds nothing that owes it."""
    monkeypatch.setattr(steps, "owed_count", lambda *_: 0)


PLANTED: dict[str, Plant] = {
    "a result is taken without its lease's token": spoiled(
        finishing, "_FINISH", ("x.lease_token = g.token AND", ""), ("x.lease_token = e.token AND", "")
    ),
    "a result overwrites an end": spoiled(
        finishing,
        "_FINISH",
        ("x.lease_token = g.token AND x.status IN ('running', 'canceling')", "true"),
        ("x.lease_token = e.token AND x.status IN ('running', 'canceling')", "true"),
    ),
    "what isn't idempotent is tried again after its worker was lost": spoiled(
        losing, "_EXPIRE", ("COALESCE(a.idempotent, false)", "true")
    ),
    "a lost worker's attempts are not counted": spoiled(
        losing, "_EXPIRE", ("< COALESCE(a.lost_worker_retries, 0)", "< 1000")
    ),
    "retries have no limit": spoiled(
        finishing, "_FINISH", ("AND x.retry_count < COALESCE(x.max_retries, 0)", "")
    ),
    "the slot of a policy is not freed": spoiled(
        freeing, "_FREE", ("execution_id = ANY(%s)", "execution_id = ANY(%s) AND false")
    ),
    "events are decided before their enforcements are safe": decided_before_enforced,
    "polls are off": polls_off,
}  # fmt: skip


QUICK = {
    "events are decided before their enforcements are safe",
    "polls are off",
    "what isn't idempotent is tried again after its worker was lost",
}
LONG = os.environ.get("ATTUNE_TEST_LONG") == "1"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", [bug for bug in PLANTED if LONG or bug in QUICK])
def test_a_planted_bug_is_found(simulated, monkeypatch, bug):
    PLANTED[bug](monkeypatch)

    with pytest.raises((AssertionError, Flaky)) as found:
        run_state_machine_as_test(seed(1)(Machine), settings=TERMS)

    print(found.value)
