"""Whether the web service can do its work: the database answers and has every table."""

from functools import lru_cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader


@lru_cache
def newest_migrations() -> frozenset[tuple[str, str]]:
    """Return the last migration of each app, as (app, name)."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def missing_migrations() -> list[str]:
    """Return the migrations that this code needs and the database has not seen."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('django_migrations') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return sorted(f"{app}.{name}" for app, name in newest_migrations())
        cursor.execute("SELECT app, name FROM django_migrations")
        applied = set(cursor.fetchall())
    return sorted(f"{app}.{name}" for app, name in newest_migrations() - applied)
