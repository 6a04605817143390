"""A short campaign of freezes and kills; the long one is a command, see tests/zoo/overlap.py."""

import random

import pytest

from tests.zoo.overlap import Found, torment

pytestmark = [pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.aside, pytest.mark.timeout(600)]
WORKERS = 3
ROUNDS = 15


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return torment(tmp_path_factory.mktemp("overlap"), WORKERS, ROUNDS, seed=random.randrange(10**6))


def test_workers_were_lost(found: Found):
    assert sum(found.rounds.values()) == ROUNDS
    assert found.attempts["abandoned"] > 0
    assert found.runs_begun > found.executions["completed"] > 0


def test_no_attempt_began_while_another_lived(found: Found):
    assert found.overlaps == [], found.seed


def test_each_execution_has_the_result_of_one_run_or_was_lost_too_often(found: Found):
    assert found.wrong == [], found.seed


def test_nobody_is_left(found: Found):
    assert found.left == [], found.seed


def test_the_books_are_in_order(found: Found):
    assert found.invariants == "", found.seed
