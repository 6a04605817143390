"""Statements of our own: their arrays arrive as they are, and they are planned once for a connection."""

import uuid

import psycopg
import pytest
from django.db import DataError, connection
from hypothesis import given
from hypothesis import strategies as st

from attune_project.statements import array, rows_of

TEXT_ARRAY = 1009  # the oid of text[]
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


@pytest.mark.django_db
@pytest.mark.parametrize(
    "values",
    [
        [], [""], [None], ["NULL", None, "null"], ['a "b"', "\\", '\\"', "{x,y}", " padded "],
        ["a\nb", "é\u2028"],
        ["same", "same", None, "same"],
    ],
)  # fmt: skip
def test_texts_arrive_as_they_are(values):
    assert rows_of("SELECT %s::text[]", [values]) == [(values,)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("bigint", [0, 1, -5, 2**62, None]), ("int", [True + 0, 1]), ("bool", [True, False, None]),
        ("uuid", [uuid.UUID(int=7), None, uuid.UUID(int=2**127)]),
    ],
)  # fmt: skip
def test_other_values_arrive_as_they_are(type_, values):
    assert rows_of(f"SELECT %(given)s::{type_}[]", {"given": values}) == [(values,)]


@given(st.lists(st.none() | TEXTS))
def test_an_array_reads_as_postgresql_writes_it(values):
    """By psycopg's reader of PostgreSQL's own notation."""
    loader = psycopg.adapters.get_loader(
        psycopg.adapters.types["text[]"].array_oid or 1009, psycopg.pq.Format.TEXT
    )

    assert loader(1009).load(array(values).encode()) == values


@pytest.mark.django_db
def test_a_character_that_no_text_can_hold_is_refused():
    with pytest.raises(DataError):
        rows_of("SELECT %s::text[]", [["a\0b"]])


@pytest.mark.django_db
def test_a_statement_is_prepared_once_whatever_the_size_of_its_numbers():
    statement = f"SELECT {uuid.uuid4().int % 10**9} + cardinality(%s::bigint[])"

    for value in (1, 10**5, 10**12):
        rows_of(statement, [[value]])

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s", [statement[:18] + "%"]
        )
        assert cursor.fetchone() == (1,)


@pytest.mark.django_db
def test_a_statement_without_a_result_has_no_rows():
    assert rows_of("UPDATE step SET updated = now() WHERE name = %s", ["none"]) == []
