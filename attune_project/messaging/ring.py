"""Ring for the next step, after commit, with ids only."""

from collections.abc import Iterable

from django.db import transaction
from structlog.contextvars import get_contextvars

from attune_project.faults import fault
from attune_project.messaging.publisher import IDS_PER_MESSAGE, Letter, publisher
from attune_project.messaging.topology import MessageType


def ring(message: MessageType, ids: Iterable[int], pool: str | None = None, *, lazily: bool = False) -> None:
    """Say, once this transaction has committed, that these rows owe their next step.

    Lazily: nobody waits for that step, so under load its messages are fewer.
    Never raises and never waits for the broker: a ring that is lost is found by the polls.
    """
    wanted = list(ids)
    if wanted:
        trace_id = get_contextvars().get("trace_id")
        transaction.on_commit(lambda: _send(message, wanted, pool, trace_id, lazily), robust=True)


def _send(message: MessageType, ids: list[int], pool: str | None, trace_id: str | None, lazy: bool) -> None:
    fault("ring.before_send")
    for start in range(0, len(ids), IDS_PER_MESSAGE):
        part = ids[start : start + IDS_PER_MESSAGE]
        publisher().send(Letter(message, part, pool, trace_id and str(trace_id), lazy=lazy or message.hint))
