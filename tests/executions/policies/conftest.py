"""Executions under policies, with no worker but the test."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from attune_project.packs.models import Worker
from executions import clock, lifecycle
from executions.lifecycle import Claimant, Claimed, Ended
from executions.models import Action, Execution, Policy, PolicySlot
from executions.requesting import Wanted, request_executions


@pytest.fixture
def limit(db: None) -> Callable[..., Policy]:
    """Make policies: `limit(2, action_ref="demo.echo")`; without a scope one for all."""

    def make(threshold: int = 1, ref: str = "demo.limit", **values: Any) -> Policy:
        return Policy.objects.create(ref=ref, threshold=threshold, **values)

    return make


@pytest.fixture
def ask(make_action: Callable[..., Action]) -> Callable[..., list[Execution]]:
    """Request executions of one action: `ask(3)`, `ask(1, {"host": "a"}, priority=5)`."""
    actions: dict[str, Action] = {}

    def make(
        count: int = 1,
        parameters: dict[str, Any] | None = None,
        *,
        ref: str = "demo.echo",
        schema: Any = None,
        action: dict[str, Any] | None = None,
        **values: Any,
    ) -> list[Execution]:
        if ref not in actions:
            actions[ref] = make_action(ref, param_schema=schema, **(action or {}))
        ids = request_executions(
            [Wanted(actions[ref], parameters or {}, uuid.uuid4(), **values) for _ in range(count)]
        )
        rows = Execution.objects.in_bulk(ids)
        return [rows[row_id] for row_id in ids]

    return make


@pytest.fixture
def run() -> Callable[..., list[int]]:
    """Claim what is scheduled and end it; return the ids that ran."""

    def claim_and_end(limit: int = 100, status: str = "completed") -> list[int]:
        claimed = claim(limit)
        lifecycle.finish([Ended(one.id, one.token, status, {"exit_code": 0}) for one in claimed])
        lifecycle.settle(500)
        return [one.id for one in claimed]

    return claim_and_end


def claim(limit: int = 100) -> list[Claimed]:
    worker, _ = Worker.objects.get_or_create(name="w", defaults={"capabilities": {"labels": {}}})
    return lifecycle.claim(Claimant(worker.pk), limit, ["core.echo", "echo"], inline=True)


def tick() -> None:
    """Do what the executor's clock does."""
    clock.admit_due()
    clock.admit_by_policies()
    clock.admit_due()


def statuses(*ids: int) -> list[str]:
    rows = dict(Execution.objects.filter(pk__in=ids).values_list("pk", "status"))
    return [rows[row_id] for row_id in ids]


def held() -> list[int]:
    return sorted(PolicySlot.objects.values_list("execution_id", flat=True))


def sql(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
