"""What a step fails at is found, tried alone, set aside; everything else goes on."""

import time
import uuid

import pytest
from django.db import OperationalError, ProgrammingError, connection
from psycopg import errors

from attune_project.messaging import failures, polls, steps
from attune_project.messaging.models import DeadLetter, Step, StepFailure
from attune_project.messaging.topology import EVENT_CREATED
from sensors.models import Event

pytestmark = pytest.mark.django_db
SOON = 1e9  # seconds of budget


def events(count):
    return [Event.objects.create(trigger_ref="t.t", trace_id=uuid.uuid4()) for _ in range(count)]


def owing():
    return list(Event.objects.filter(status="new").order_by("id").values_list("id", flat=True))


@pytest.fixture
def poison():
    """Ids of events that matching fails at."""
    return set()


@pytest.fixture
def asked():
    """The batches that were tried."""
    return []


@pytest.fixture
def step(poison, asked, monkeypatch):
    """The step `match`, which raises at any batch with a poisonous event."""
    real = next(one for one in steps.of_service("sensor") if one.name == "match")

    def decide(ids):
        asked.append(ids)
        bad = poison & set(ids)
        if bad:
            raise ValueError(f"poison in {sorted(bad)}")
        return Event.objects.filter(id__in=ids, status="new").update(status="decided")

    def verb(limit):
        ids = Event.objects.filter(status="new").extra(where=[failures.passed_over("match")])
        return decide(list(ids.order_by("id").values_list("id", flat=True)[:limit]))

    made = steps.OwedStep(**{**real.__dict__, "verb": verb, "only": decide})
    monkeypatch.setitem(steps._steps, "match", made)
    monkeypatch.setattr(steps, "_unproven", set())
    return made


def let_time_pass():
    StepFailure.objects.exclude(retry_at=None).update(retry_at="2020-01-01T00:00:00Z")


def test_one_bad_row_holds_up_no_other(step, poison):
    rows = events(100)
    poison.add(rows[37].pk)

    steps.work(step, SOON)

    assert owing() == [rows[37].pk]
    found = StepFailure.objects.get()
    assert (found.step, found.row_id, found.failures, found.reason) == (
        "match", rows[37].pk, 1, "step_failed",
    )  # fmt: skip
    assert "ValueError: poison in" in found.detail


def test_the_fast_path_doesn_t_try_it_again(step, poison, asked):
    (bad,) = events(1)
    poison.add(bad.pk)
    steps.work(step, SOON)
    asked.clear()

    (good,) = events(1)
    steps.work(step, SOON)

    assert all(bad.pk not in batch for batch in asked)
    assert [good.pk] in asked


def test_after_five_failures_it_is_set_aside_with_the_reason(step, poison):
    bad, _ = events(2)
    poison.add(bad.pk)

    steps.work(step, SOON)
    for _ in range(3):
        let_time_pass()
        failures.again(step)
    assert not DeadLetter.objects.exists()
    let_time_pass()
    failures.again(step)

    letter = DeadLetter.objects.get()
    assert (letter.step, letter.row_id, letter.deaths, letter.reason) == (
        "match", bad.pk, 5, "step_failed",
    )  # fmt: skip
    assert (letter.queue, letter.exchange, letter.routing_key) == (
        EVENT_CREATED.queue, EVENT_CREATED.exchange, EVENT_CREATED.routing_key,
    )  # fmt: skip
    assert "ValueError: poison in" in letter.detail
    assert letter.trace_id == bad.trace_id
    assert owing() == [bad.pk]


def test_what_is_set_aside_is_not_tried_by_anyone(step, poison, asked):
    (bad,) = events(1)
    poison.add(bad.pk)
    steps.work(step, SOON)
    for _ in range(9):
        let_time_pass()
        failures.again(step)
    asked.clear()

    Event.objects.update(created="2020-01-01T00:00:00Z")
    polls.poll(step)
    failures.again(step)
    steps.work(step, SOON)

    assert [batch for batch in asked if batch] == []
    assert steps.owed_count(step, 0) == 0
    assert DeadLetter.objects.count() == 1


def test_it_is_tried_with_growing_pauses(step, poison):
    (bad,) = events(1)
    poison.add(bad.pk)
    steps.work(step, SOON)
    waits = []
    for _ in range(4):
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM retry_at - now())::float FROM step_failure")
            waits.append(round(cursor.fetchone()[0]))
        let_time_pass()
        failures.again(step)

    assert waits == [2, 6, 18, 54]


def test_before_its_time_it_is_left_alone(step, poison, asked):
    (bad,) = events(1)
    poison.add(bad.pk)
    steps.work(step, SOON)
    asked.clear()

    assert failures.again(step) == 0
    assert asked == []


def test_what_has_healed_is_done_and_forgotten(step, poison):
    (bad,) = events(1)
    poison.add(bad.pk)
    steps.work(step, SOON)

    poison.clear()
    let_time_pass()

    assert failures.again(step) == 1
    assert owing() == []
    assert not StepFailure.objects.exists()
    assert not Step.objects.filter(repairs__gt=0).exists()


def test_a_row_that_kills_whoever_does_it_is_counted_before_each_try(step, poison, monkeypatch):
    """Each try ends as if the process had been killed in it: nothing after it is run."""
    (bad,) = events(1)

    class Killed(BaseException):
        pass

    def die(ids):
        raise Killed

    deadly = steps.OwedStep(**{**step.__dict__, "verb": die, "only": die})
    tries = 0
    while not DeadLetter.objects.exists():
        assert tries < 10
        let_time_pass()
        steps._unproven.add("match")  # each death is followed by a start
        try:
            steps.work(deadly, SOON) if not StepFailure.objects.exists() else failures.again(deadly)
        except Killed:
            tries += 1

    letter = DeadLetter.objects.get()
    assert tries == 5
    assert (letter.row_id, letter.reason, letter.deaths) == (bad.pk, "process_died", 5)
    assert "ended without a word" in letter.detail


def test_after_a_start_the_neighbours_of_a_deadly_row_are_done(step, asked):
    rows = events(3)
    steps._unproven.add("match")

    steps.work(step, SOON)

    assert asked[:3] == [[row.pk] for row in rows]
    assert owing() == []
    assert not StepFailure.objects.exists()

    asked.clear()
    events(3)
    steps.work(step, SOON)
    assert [len(batch) for batch in asked] == [3]  # only the first batch is done so


@pytest.mark.parametrize(
    "problem",
    [
        OperationalError("server closed the connection"),
        ProgrammingError("no such column"),
    ],
)
def test_a_fault_of_everything_is_held_against_no_row(step, problem):
    if isinstance(problem, ProgrammingError):
        problem.__cause__ = errors.UndefinedColumn("no such column")
    events(2)

    def fail(_):
        raise problem

    broken = steps.OwedStep(**{**step.__dict__, "verb": fail, "only": fail})

    with pytest.raises(type(problem)):
        steps.work(broken, SOON)
    assert not StepFailure.objects.exists()


def test_a_value_that_is_too_large_is_its_row_s_fault(step, poison):
    (bad, _) = events(2)

    def decide(ids):
        if bad.pk in ids:
            raise OperationalError("index row too large") from errors.ProgramLimitExceeded("too large")
        return Event.objects.filter(id__in=ids, status="new").update(status="decided")

    picky = steps.OwedStep(
        **{**step.__dict__, "verb": lambda limit: decide(failures._owing(step, limit)), "only": decide}
    )

    steps.work(picky, SOON)

    assert owing() == [bad.pk]
    assert StepFailure.objects.get().row_id == bad.pk


def test_a_problem_that_no_row_has_goes_on_to_the_caller(step):
    events(2)
    broken = steps.OwedStep(**{**step.__dict__, "verb": lambda limit: 1 // 0})

    with pytest.raises(ZeroDivisionError):
        steps.work(broken, SOON)
    assert not StepFailure.objects.exists()


def test_a_database_that_goes_away_in_a_try_is_not_held_against_the_row(step, poison):
    (bad,) = events(1)
    poison.add(bad.pk)
    steps.work(step, SOON)
    let_time_pass()

    def away(ids):
        raise OperationalError("server closed the connection")

    gone = steps.OwedStep(**{**step.__dict__, "only": away})
    closed = []
    before = failures.connections.close_all
    failures.connections.close_all = lambda: closed.append(True)  # a test's connection is kept
    try:
        with pytest.raises(OperationalError):
            failures.again(gone)
    finally:
        failures.connections.close_all = before

    assert closed
    assert StepFailure.objects.get().failures == 1


def test_a_budget_ends_the_search_but_not_before_it_has_found_one(step, poison):
    rows = events(8)
    poison.update(row.pk for row in rows)

    failures.work_around(step, ValueError("poison"), 500, time.monotonic() - 1)

    assert StepFailure.objects.count() == 1
