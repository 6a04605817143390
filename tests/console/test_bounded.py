"""One thread at a time, nobody waits for long, answers are kept."""

import pytest

from attune_project.console.bounded import Bounded


@pytest.fixture
def calls():
    return []


def test_an_answer_is_kept_for_a_while(calls):
    bounded = Bounded(lambda: calls.append(1) or len(calls), keep=60, patience=60)

    assert [bounded.get(), bounded.get()] == [1, 1]


def test_an_old_answer_is_worked_out_anew(calls):
    bounded = Bounded(lambda: calls.append(1) or len(calls), keep=-1, patience=60)

    assert [bounded.get(), bounded.get()] == [1, 2]


def test_what_hangs_is_not_waited_for_and_hangs_once(calls, hang):
    bounded = Bounded(lambda: (calls.append(1), hang()), keep=0, patience=0.05)

    for _ in range(3):
        with pytest.raises(TimeoutError):
            bounded.get()

    assert calls == [1]


def test_what_fails_is_raised_to_everybody():
    def work():
        raise LookupError("gone")

    bounded = Bounded(work, keep=60, patience=60)

    for _ in range(2):
        with pytest.raises(LookupError, match="gone"):
            bounded.get()


def test_a_failure_is_tried_again_later(calls):
    def work():
        calls.append(1)
        return 1 // (len(calls) - 1)

    bounded = Bounded(work, keep=-1, patience=60)
    with pytest.raises(ZeroDivisionError):
        bounded.get()

    assert bounded.get() == 1


def test_forgetting_works_it_out_at_the_next_look(calls):
    bounded = Bounded(lambda: calls.append(1) or len(calls), keep=60, patience=60)
    bounded.get()
    bounded.forget()

    assert bounded.get() == 2
