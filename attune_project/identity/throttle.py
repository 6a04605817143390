"""Limits on tries, counted in the database: every web process sees the same count."""

from dataclasses import dataclass

from django.db import connection
from rest_framework.exceptions import Throttled

from .models import RateCounter

# One statement, so that a hundred guesses at once are a hundred tries. A window starts with its first try.
COUNT = """
    INSERT INTO rate_counter (key, started_at, tries) VALUES (%(key)s, now(), 1)
    ON CONFLICT (key) DO UPDATE SET
        tries = CASE WHEN rate_counter.started_at <= now() - make_interval(secs => %(window)s) THEN 1
                     ELSE least(rate_counter.tries + 1, 1000000) END,
        started_at = CASE WHEN rate_counter.started_at <= now() - make_interval(secs => %(window)s) THEN now()
                          ELSE rate_counter.started_at END,
        updated = now()
    RETURNING tries, extract(epoch FROM started_at + make_interval(secs => %(window)s) - now())::float
"""
FORGET_OLD = "DELETE FROM rate_counter WHERE started_at < now() - interval '1 day'"


@dataclass(frozen=True)
class Limit:
    tries: int
    seconds: float


def take(key: str, limit: Limit) -> None:
    """Count a try before it is made; raise 429 with the seconds to wait when there were too many."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"key": key, "window": limit.seconds})
        tries, wait = cursor.fetchone()
        if tries > limit.tries:
            raise Throttled(wait=wait, detail="Too many tries; wait a little.")
        if tries == 1:
            cursor.execute(FORGET_OLD)


def give_back(key: str) -> None:
    """Forget the tries under a key: the last one was a success."""
    RateCounter.objects.filter(key=key).delete()
