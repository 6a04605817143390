"""A short campaign against everybody in turn; the long one is a command, see tests/zoo/turns.py."""

import random

import pytest

from tests.zoo.tormenting import VICTIMS
from tests.zoo.turns import Books, torment

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.aside, pytest.mark.timeout(600)]
ROUNDS = len(VICTIMS) + 1  # each is killed, and one is frozen


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    return torment(tmp_path_factory.mktemp("turns"), ROUNDS, random.randrange(10**6), at_once=ROUNDS)


def test_everybody_was_killed(books: Books):
    assert {f"kill {victim}" for victim in VICTIMS} < set(books.torments)
    assert books.events > 0
    assert books.executions["completed"] > 0


def test_all_that_was_recorded_came_to_its_end(books: Books):
    assert (books.owed, books.missing) == ("", 0), books.seed


def test_each_has_the_one_end_that_it_may_have(books: Books):
    assert (books.wrong, books.rewritten) == ([], []), books.seed


def test_no_attempt_began_while_another_lived(books: Books):
    assert books.overlaps == [], books.seed


def test_nobody_is_left(books: Books):
    assert books.left == [], books.seed


def test_the_books_are_in_order(books: Books):
    assert books.invariants == "", books.seed
