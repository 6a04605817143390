"""What actions write, stored while they run, by one thread and under their leases."""

import time
import uuid
from dataclasses import replace

import pytest
from django.db import DataError, OperationalError, connection

from executions import lifecycle, log_chunks
from executions.lifecycle import Ended
from executions.log_chunks import Piece, from_next_character, whole_characters
from executions.models import Attempt, Execution, LogChunk
from executions.requesting import Wanted, request_executions
from executions.runners import Control, Outcome
from executions.worker import logs
from executions.worker.logs import LiveLog
from tests.executions.lives import claim_one

pytestmark = pytest.mark.django_db(transaction=True)
OK = {"exit_code": 0, "duration_ms": 1, "succeeded": True}


@pytest.fixture
def claim(make_action, worker):
    def make(**values):
        action = make_action(f"demo.a{uuid.uuid4().hex[:6]}", **values)
        request_executions([Wanted(action, {}, uuid.uuid4())])
        return claim_one(worker)

    return make


def wait_for(condition, seconds=60):
    ends = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < ends:
        time.sleep(0.01)
    return found


def text_of(claimed, stream="stdout", attempt=1):
    chunks = LogChunk.objects.filter(execution_id=claimed.id, attempt=attempt, stream=stream).order_by(
        "start"
    )
    rows = [(chunk.start, chunk.size, bytes(chunk.content)) for chunk in chunks]
    assert [start for start, _, _ in rows] == [sum(size for _, size, _ in rows[:n]) for n in range(len(rows))]
    assert all(size == len(content) for _, size, content in rows)
    return b"".join(content for _, _, content in rows).decode()


def finish(claimed, live, status="completed", in_log=(), **result):
    outcome = Outcome(status, {**OK, **result}, in_log)
    rest = live.close(Control(), outcome)
    return lifecycle.finish([Ended(claimed.id, claimed.token, status, outcome.result, rest=rest)])


def result_of(claimed):
    return Execution.objects.get(pk=claimed.id).result


def test_output_is_stored_while_the_action_runs(claim):
    claimed = claim()
    live = LiveLog(claimed)

    live.feed("stdout", b"one\n")

    assert wait_for(lambda: text_of(claimed) == "one\n")
    live.feed("stdout", b"two\n")
    live.feed("stderr", b"bad\n")
    assert wait_for(lambda: (text_of(claimed), text_of(claimed, "stderr")) == ("one\ntwo\n", "bad\n"))


def test_many_runs_are_stored_in_one_statement(claim, monkeypatch):
    monkeypatch.setattr(logs, "YOUNG", 3600)
    statements = []
    store = log_chunks.store
    monkeypatch.setattr(log_chunks, "store", lambda pieces: statements.append(len(pieces)) or store(pieces))
    lives = [(one, LiveLog(one)) for one in (claim() for _ in range(4))]

    for _, live in lives:
        live.feed("stdout", b"x")
    with logs.flusher._changed:  # all are due in the same moment
        for _, live in lives:
            logs.flusher.note(live, due=0.0)

    assert wait_for(lambda: all(text_of(one) == "x" for one, _ in lives))
    assert statements == [4]


def test_a_short_run_costs_no_rows_when_its_result_has_the_text(claim):
    claimed = claim()
    live = LiveLog(claimed)
    live.feed("stdout", b"hello")

    finish(claimed, live, stdout="hello")

    assert LogChunk.objects.count() == 0
    assert result_of(claimed) == {**OK, "stdout": "hello"}


def test_what_the_result_does_not_show_is_stored_with_it(claim):
    claimed = claim()
    live = LiveLog(claimed)
    live.feed("stdout", b'{"a": 1}')
    live.feed("stderr", b"progress")

    finish(claimed, live, data={"a": 1}, stderr="progress")

    assert text_of(claimed) == '{"a": 1}'
    assert text_of(claimed, "stderr") == ""


def test_a_log_that_was_begun_is_ended(claim):
    claimed = claim()
    live = LiveLog(claimed)
    live.feed("stdout", b"one\n")
    wait_for(lambda: text_of(claimed))
    live.feed("stdout", b"two\n")

    finish(claimed, live, stdout="one\ntwo\n")

    assert text_of(claimed) == "one\ntwo\n"


def test_a_large_text_is_put_into_the_result_by_the_database(claim):
    claimed = claim()
    live = LiveLog(claimed)
    text = "".join(f"é{n}\n" for n in range(60_000))
    live.feed("stdout", text.encode())

    finish(claimed, live, in_log=("stdout",), stderr="x")

    assert result_of(claimed) == {**OK, "stdout": text, "stderr": "x"}
    assert text_of(claimed) == text


def test_the_result_of_an_attempt_that_is_tried_again_has_its_own_text(claim, make_action):
    claimed = claim(max_retries=1)
    live = LiveLog(claimed)
    live.feed("stdout", b"first")

    finish(claimed, live, "failed", in_log=("stdout",))

    assert Attempt.objects.get().result["stdout"] == "first"
    assert Execution.objects.get().result is None


def test_secrets_are_masked_across_pieces_and_rows(claim):
    claimed = claim()
    live = LiveLog(claimed, ("hunter22",))
    for letter in b"it is hunter22!" * 3:
        live.feed("stdout", bytes([letter]))

    assert wait_for(lambda: text_of(claimed) == "it is ********!" * 3)


def test_nothing_is_stored_under_a_lease_that_is_over(claim):
    claimed = claim()
    live = LiveLog(claimed)
    Execution.objects.update(lease_token=uuid.uuid4())

    live.feed("stdout", b"late")

    assert wait_for(lambda: live.lost)
    assert finish(claimed, live, in_log=("stdout",)) == []
    assert LogChunk.objects.count() == 0


def test_what_could_not_be_stored_is_sent_again_in_the_same_pieces(claim, monkeypatch):
    claimed = claim()
    live = LiveLog(claimed)
    store, calls = log_chunks.store, []

    def stored_without_an_answer(pieces):
        calls.append(pieces)
        store(pieces)
        if len(calls) == 1:
            live.feed("stdout", b"more")  # came before the second try
            raise OperationalError("the connection was lost")
        return {claimed.id}

    monkeypatch.setattr(log_chunks, "store", stored_without_an_answer)
    live.feed("stdout", b"some ")

    assert wait_for(lambda: text_of(claimed) == "some more")
    assert calls[1][:1] == calls[0]


def test_while_the_database_is_away_output_is_read_on_and_kept_out_of_memory(claim, monkeypatch):
    claimed = claim()
    live = LiveLog(claimed)
    store = log_chunks.store

    def away(_):
        raise OperationalError("away")

    monkeypatch.setattr(log_chunks, "store", away)
    for _ in range(160):
        live.feed("stdout", b"x" * 65_536)
    assert len(live.streams["stdout"]._spool._kept) == 0
    monkeypatch.setattr(log_chunks, "store", store)

    finish(claimed, live, in_log=("stdout",))

    assert result_of(claimed)["stdout"] == "x" * 160 * 65_536


def test_output_goes_on_after_a_word_that_came_too_late(claim):
    """Between the output and the word that there is some, all of it may have been stored."""
    claimed = claim()
    live = LiveLog(claimed)
    live.feed("stdout", b"one\n")
    wait_for(lambda: text_of(claimed))
    assert wait_for(lambda: not logs.flusher._under_way)

    logs.flusher.note(live, time.monotonic())
    assert wait_for(lambda: live not in logs.flusher._due, seconds=10)
    live.feed("stdout", b"two\n")

    assert wait_for(lambda: text_of(claimed) == "one\ntwo\n")


def test_output_that_is_refused_holds_up_nobody_else(claim, monkeypatch):
    bad, good = claim(), claim()
    store = log_chunks.store

    def refuse(pieces):
        if any(piece.execution_id == bad.id for piece in pieces):
            raise DataError("refused")
        return store(pieces)

    monkeypatch.setattr(log_chunks, "store", refuse)
    lives = LiveLog(bad), LiveLog(good)

    for live in lives:
        live.feed("stdout", b"x" * 100_000)

    assert wait_for(lambda: len(text_of(good)) == 100_000)
    assert finish(bad, lives[0], stdout="x") == [bad.id]


def test_output_that_cannot_be_read_again_holds_up_nobody_else(claim, monkeypatch):
    bad, good = claim(), claim()
    lives = LiveLog(bad), LiveLog(good)
    monkeypatch.setattr(lives[0], "next_pieces", unreadable)

    for live in lives:
        live.feed("stdout", b"x" * 100_000)

    assert wait_for(lambda: len(text_of(good)) == 100_000)
    assert finish(bad, lives[0], stdout="x") == [bad.id]


def unreadable(most):
    raise OSError("the disk is broken")


def test_after_the_limit_there_is_a_notice(claim):
    claimed = claim()
    live = LiveLog(claimed)
    for _ in range(161):
        live.feed("stdout", b"x" * 65_536)

    finish(claimed, live, in_log=("stdout",))

    assert result_of(claimed)["stdout"].endswith("x\n[output cut after 10485760 bytes]")


def test_a_run_that_is_stopped_with_its_worker_waits_for_nobody(claim, monkeypatch):
    claimed, control = claim(), Control()
    live = LiveLog(claimed)
    monkeypatch.setattr(log_chunks, "store", lambda _: None)
    live.feed("stdout", b"x" * 1_000_000)
    control.stop("shutdown")

    live.close(control, Outcome("cancelled", {}))


def test_a_full_disk_does_not_end_the_run(claim, monkeypatch):
    claimed = claim()
    live = LiveLog(claimed)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("executions.runners.spool.os.pwrite", full)
    live.feed("stdout", b"kept")
    live.feed("stdout", b"x" * 1_000_000)
    live.feed("stdout", b"more")

    finish(claimed, live)

    assert text_of(claimed) == "kept"


def test_who_watches_is_woken_with_the_pieces(claim):
    claimed = claim()
    with connection.cursor() as cursor:
        cursor.execute("LISTEN attune_log")

    log_chunks.store([Piece(claimed.id, claimed.token, 1, "stdout", 0, b"x")])

    (told,) = list(connection.connection.notifies(timeout=100, stop_after=1))
    assert told.payload == str(claimed.id)
    with connection.cursor() as cursor:
        cursor.execute("UNLISTEN *")


def test_the_text_is_also_told_as_it_comes(claim):
    told = []
    live = LiveLog(claim(), ("hunter22",), also=lambda stream, text: told.append((stream, text)))

    live.feed("stdout", b"a hunter")
    live.feed("stdout", b"22\n")

    assert told == [("stdout", "a "), ("stdout", "********\n")]


def test_reading_begins_anywhere(claim):
    claimed = claim()
    piece = Piece(claimed.id, claimed.token, 1, "stdout", 0, b"0123")
    log_chunks.store(
        [piece, replace(piece, start=4, content=b"4567"), replace(piece, start=8, content=b"89")]
    )

    def read(offset, size=100):
        return log_chunks.read(claimed.id, 1, "stdout", offset, size)

    assert [read(0), read(3), read(4), read(9), read(10), read(50)] == [
        b"0123456789", b"3456789", b"456789", b"9", b"", b"",
    ]  # fmt: skip
    assert read(5, size=3) == b"567"
    assert log_chunks.read(claimed.id, 2, "stdout", 0, 9) == b""


@pytest.mark.parametrize("text", ["a", "aé", "a€", "a😀"])
def test_characters_stay_whole(text):
    raw = text.encode()

    assert whole_characters(raw) == raw
    assert [whole_characters(raw[:n]) for n in range(1, len(raw))] == [b"a"] * (len(raw) - 1)
    assert from_next_character(raw[2:] + b"z") == (len(raw[2:]), b"z")


def test_a_large_result_is_kept_out_of_the_row(claim):
    """What polls and lists read stays narrow, and settling does not write the result again."""
    claimed = claim()
    live = LiveLog(claimed)
    live.feed("stdout", "".join(f"{uuid.uuid4()}\n" for _ in range(30_000)).encode())

    finish(claimed, live, in_log=("stdout",))
    lifecycle.settle(10)

    with connection.cursor() as cursor:
        cursor.execute("SELECT octet_length(result ->> 'stdout') FROM execution")
        assert cursor.fetchone() == (37 * 30_000,)
        cursor.execute("SELECT pg_relation_size('execution')")
        assert cursor.fetchone()[0] < 10 * 8192
