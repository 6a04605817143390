"""Worker pools: created by declaring them in settings."""

from django.conf import settings


def declared() -> tuple[str, ...]:
    """Return the names of the pools beside the default one."""
    names = {*settings.ATTUNE_WORKER_POOLS, *filter(None, [mine()])}
    return tuple(sorted(names))


def mine() -> str | None:
    """Return the pool of this worker process; None is the default pool."""
    return settings.ATTUNE_WORKER_POOL or None
