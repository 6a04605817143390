"""Statements that run again and again: PostgreSQL parses and plans each once for a connection.

To plan one of them anew takes longer than to run it, for a few rows several times as long. Such a plan
must do for one row and for hundreds, and be right still when tables that were empty have grown: so it is
made without a look at the values (`plan_cache_mode`), and the services that poll rule out plans that read
a table from end to end (settings.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import connection


def rows_of(statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement of our own and return its rows; one without a result has none.

    For texts of which there are few: what differs from call to call must be parameters. Each has a cast
    (`%s::bigint[]`) or stands where its type is plain.
    """
    connection.ensure_connection()
    wrapped = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with wrapped(psycopg.Cursor(connection.connection)) as cursor:  # type: ignore[arg-type]
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []
