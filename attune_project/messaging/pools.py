"""Worker pools: created by declaring them in settings."""

from django.conf import settings


def declared() -> tuple[str, ...]:
    """Return the names of the pools beside the default one."""
    names = [*settings.ATTUNE_WORKER_POOLS]
    if settings.ATTUNE_WORKER_POOL:
        names.append(settings.ATTUNE_WORKER_POOL)
    return tuple(sorted(set(names)))
