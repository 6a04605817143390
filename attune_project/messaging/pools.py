"""Worker pools: created by declaring them, in settings, in a pack, or by naming them in an action."""

from collections.abc import Callable, Iterable

import structlog
from django.conf import settings

from attune_project.messaging import broker, declare
from attune_project.messaging.topology import POOL_NAME

log = structlog.get_logger(__name__)

_look: Callable[[], Iterable[str]] = tuple
_found: frozenset[str] = frozenset()
_on_broker: set[str] = set()


def declared() -> tuple[str, ...]:
    """Return the names of the pools beside the default one that settings declare."""
    names = {*settings.ATTUNE_WORKER_POOLS, *filter(None, [mine()])}
    return tuple(sorted(names))


def known() -> tuple[str, ...]:
    """Return those and the ones that packs and actions declared when they were last looked at."""
    return tuple(sorted({*declared(), *_found}))


def mine() -> str | None:
    """Return the pool of this worker process; None is the default pool."""
    return settings.ATTUNE_WORKER_POOL or None


def answer_pools(look: Callable[[], Iterable[str]]) -> None:
    """Register who knows packs and actions: a function that reads the pools that they name."""
    global _look  # noqa: PLW0603 (set once, at start)
    _look = look


def refresh() -> tuple[str, ...]:
    """Look at the packs and actions again; return the known pools. Raises when the database is away."""
    global _found  # noqa: PLW0603 (one per process)
    _found = frozenset(name for name in _look() if POOL_NAME.fullmatch(name))
    return known()


def declare_new() -> None:
    """Declare the queues of pools that this process hasn't declared yet; one that fails is tried again."""
    new = tuple(name for name in known() if name not in _on_broker)
    if new:
        with broker.connect() as connection:
            declare.declare_all(connection, new)
        _on_broker.update(new)
        log.info("queues of worker pools declared", pools=list(new))
