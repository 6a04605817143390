"""Statements that run again and again: PostgreSQL parses and plans each once for a connection.

To plan one of them anew takes longer than to run it, for a few rows several times as long. Such a plan
must do for one row and for hundreds, and be right still when tables that were empty have grown: so it is
made without a look at the values (`plan_cache_mode`), and the services that poll rule out plans that read
a table from end to end (settings.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection


def rows_of(statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement of our own and return its rows; one without a result has none.

    For texts of which there are few: what differs from call to call must be parameters. Each has a cast
    (`%s::bigint[]`) or stands where its type is plain.
    """
    given = (
        {name: _written(value) for name, value in parameters.items()}
        if isinstance(parameters, Mapping)
        else [_written(value) for value in parameters]
    )
    connection.ensure_connection()
    wrapped = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    read: psycopg.Cursor[tuple[Any, ...]] = psycopg.Cursor(connection.connection)
    with wrapped(read) as cursor:  # type: ignore[arg-type]
        cursor.execute(statement, given)
        # Asked of Django's cursor it would cost as much again, and a description of columns more than that.
        return read.fetchall() if read.rownumber is not None else []


def _written(value: Any) -> Any:
    return array(value) if isinstance(value, list) else value


def array(values: Sequence[str | int | bool | UUID | None]) -> str:
    """Return a PostgreSQL array as text.

    A value that comes again is written once: in a column of hundreds of rows most do. psycopg looks at each
    with three regular expressions, and has another type for small numbers than for large ones.
    """
    written: dict[Any, str] = {None: "NULL", True: "true", False: "false"}
    if any(type(value) is int for value in values):
        return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"
    for value in values:
        if value not in written:
            written[value] = '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "{" + ",".join([written[value] for value in values]) + "}"
