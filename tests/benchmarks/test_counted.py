"""The counter of statements that a profile puts in front of psycopg."""

import pytest

from benchmarks.counted.sitecustomize import name_of
from benchmarks.statements import Statements


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("SELECT 1", "SELECT 1"),
        ("\n  SELECT a,\n   b FROM c", "SELECT a, b FROM c"),
        ('SAVEPOINT "s1_x2"', "SAVEPOINT"),
        ('RELEASE SAVEPOINT "s1_x2"', "RELEASE SAVEPOINT"),
        ('ROLLBACK TO SAVEPOINT "s1_x2"', "ROLLBACK TO SAVEPOINT"),
    ],
)
def test_statements_are_told_apart_by_their_beginning(statement: str, name: str) -> None:
    assert name_of(statement) == name


def test_counts_of_processes_are_added_by_service(tmp_path) -> None:
    statements = Statements(tmp_path / "counts")
    for pid, times in ((1, 3), (2, 4)):
        text = f'{{"service": "sensor", "statements": {{"SELECT 1": [{times}, 0.5]}}}}'
        (statements.folder / f"{pid}.json").write_text(text)

    assert statements.counted() == {("sensor", "SELECT 1"): (7, 1.0)}
    assert statements.since({("sensor", "SELECT 1"): (5, 0.9)}, events=10) == [
        {"service": "sensor", "statement": "SELECT 1", "times": 2, "per_event": 0.2, "ms_per_event": 10.0}
    ]
