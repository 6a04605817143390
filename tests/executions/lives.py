"""Steps in the life of an execution, for tests."""

from django.db import connection

from attune_project.packs.models import Worker
from executions import lifecycle
from executions.lifecycle import Claimant, Claimed, Ended
from executions.worker.tokens import lent_to

INSTANT = ["core.echo", "echo"]


def claim_one(worker: Worker, *, inline: bool = True, pool: str | None = None) -> Claimed:
    (claimed,) = lifecycle.claim(Claimant(worker.pk, pool), 1, INSTANT, inline=inline)
    return claimed


def end(claimed: Claimed, status: str = "completed", result: dict | None = None) -> list[int]:
    return lifecycle.finish([Ended(claimed.id, claimed.token, status, result or {"exit_code": 0})])


def token_of(claimed: Claimed, limit: float) -> str | None:
    return lent_to(claimed, limit).token


def due_now() -> None:
    """Let every retry fall due, and schedule it."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE execution SET due_at = now() - interval '1 s' WHERE status = 'requested'")
    lifecycle.admit(100)


def lapse(execution_id: int) -> None:
    """Let the lease of an execution end."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE execution SET lease_expires_at = now() - interval '1 s' WHERE id = %s", [execution_id]
        )
