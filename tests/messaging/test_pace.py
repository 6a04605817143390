"""How long rows gather: not at all where they come one by one, never for long."""

import pytest

from attune_project.messaging.pace import LONGEST_SECONDS, rest_after


@pytest.mark.parametrize("rows", [0, 1])
def test_where_rows_come_one_by_one_nothing_waits(rows):
    assert rest_after(rows) == 0


def test_the_more_rows_there_were_the_longer_others_gather():
    assert 0 < rest_after(2) < rest_after(3) < rest_after(5) < LONGEST_SECONDS


def test_nothing_gathers_for_long():
    assert rest_after(100) == rest_after(500) == LONGEST_SECONDS
