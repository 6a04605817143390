"""What runs tell on standard output, as it comes."""

import threading
import time
import uuid
from unittest import mock

import pytest
from django.db import OperationalError
from hypothesis import given, settings
from hypothesis import strategies as st

from executions.artifacts import told as module
from executions.artifacts.told import Told, teller
from executions.models import Artifact, Execution, Progress

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def told(run):
    one = Told(run.id, run.token)
    yield one
    wait_for(lambda: teller._thread is None)


@pytest.fixture
def wakes(monkeypatch):
    """The executions whose streams were woken."""
    woken = []
    monkeypatch.setattr(module, "wake_streams", woken.extend)
    return woken


def wait_for(condition, seconds=60):
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.02)
    return condition()


def progress():
    return Progress.objects.values_list("percent", "text").first()


def test_progress_is_seen_while_the_run_goes_on(told, run, wakes):
    told.feed("stdout", "hello\n::attune progress percent=40 text=unpacking\nmore")

    assert wait_for(lambda: progress() == (40.0, "unpacking"))
    assert wait_for(lambda: wakes == [run.id])


def test_a_run_goes_on_where_no_more_threads_can_be_had(told, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        told.feed("stdout", "::attune progress percent=40 text=unpacking\n")
    told.feed("stdout", "::attune progress percent=50\n")

    assert wait_for(lambda: progress() == (50.0, "unpacking"))


def test_only_what_changes_is_named(told):
    told.feed("stdout", "::attune progress percent=40 text=unpacking\n::attune progress percent=50\n")
    told.close()

    assert progress() == (50.0, "unpacking")


def test_the_last_progress_is_stored_however_fast_they_come(told):
    for n in range(101):
        told.feed("stdout", f"::attune progress percent={n}\n")

    assert told.close() == []

    assert progress() == (100.0, None)


def test_values_and_urls_are_artifacts_and_the_last_one_counts(told, run):
    told.feed("stdout", '::attune artifact name=rows value=1\n::attune artifact name=rows value={"n": 2}\n')
    told.feed("stdout", "::attune url name=report url=https://example.org/r\n")
    told.close()

    found = {one.name: one for one in Artifact.objects.all()}
    assert (found["rows"].type, found["rows"].data, found["rows"].last_version) == ("other", {"n": 2}, 0)
    assert (found["report"].type, found["report"].data) == ("url", {"url": "https://example.org/r"})
    assert found["rows"].ref == f"execution.{run.id}.rows"
    assert found["rows"].content_type == "application/json"


def test_a_value_that_changes_is_the_same_artifact(told):
    told.feed("stdout", "::attune artifact name=rows value=1\n")
    assert wait_for(lambda: Artifact.objects.filter(data=1).exists())
    told.feed("stdout", "::attune artifact name=rows value=2\n")
    told.close()

    assert Artifact.objects.get().data == 2


def test_bad_lines_are_noted_and_change_nothing(told):
    told.feed("stdout", "::attune progress percent=x\n::attune dance\n" + "::attune nonsense\n" * 50)

    notes = told.close()

    assert notes[0] == "::attune progress percent=x: percent='x' is no number"
    assert len(notes) == module.MOST_NOTES
    assert not Progress.objects.exists()


def test_one_run_tells_only_so_many_values(told):
    told.feed("stdout", "".join(f"::attune artifact name=v{n} value={n}\n" for n in range(120)))

    notes = told.close()

    assert Artifact.objects.count() == module.MOST_VALUES
    assert "a run may tell 100 values" in notes[0]


def test_one_run_tells_only_so_much(told):
    long = "x" * 60_000
    told.feed("stdout", "".join(f'::attune artifact name=v{n} value="{long}"\n' for n in range(20)))

    assert told.close()

    assert Artifact.objects.count() == module.MOST_BYTES // 60_000


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        ("stderr", "::attune progress percent=1\n"),
        ("stdout", " ::attune progress percent=1\n"),
        ("stdout", "x::attune progress percent=1\n"),
        ("stdout", "::attuned progress percent=1\n"),
        ("stdout", "::att"),
    ],
)
def test_other_lines_are_just_output(told, stream, text):
    told.feed(stream, text)

    assert told.close() == []
    assert not Progress.objects.exists()


def test_a_last_line_without_an_end_counts(told):
    told.feed("stdout", "::attune progress per")
    told.feed("stdout", "cent=7\r")

    told.close()

    assert progress() == (7.0, None)


def test_a_line_without_end_is_refused_once_and_the_next_one_counts(told):
    told.feed("stdout", "::attune artifact name=x value=")
    for _ in range(100):
        told.feed("stdout", "1" * 1000)
    told.feed("stdout", "\n::attune progress percent=3\n")

    notes = told.close()

    assert len(notes) == 1
    assert progress() == (3.0, None)


def test_a_run_that_lost_its_lease_stores_nothing(told):
    Execution.objects.update(lease_token=uuid.uuid4())
    told.feed("stdout", "::attune progress percent=4\n::attune artifact name=x value=1\n")
    told.close()

    assert not Progress.objects.exists()
    assert not Artifact.objects.exists()


def test_a_later_attempt_begins_anew(told, run):
    told.feed("stdout", "::attune progress percent=90 text=nearly\n")
    told.close()
    again = Told(run.id, run.token)
    again.feed("stdout", "::attune progress text=begun\n")
    again.close()

    assert progress() == (None, "begun")


def test_what_waits_for_the_database_is_stored_when_it_is_back(told, monkeypatch):
    real, calls = module.store_progress, []

    def failing(progress):
        calls.append(progress)
        if len(calls) < 3:
            raise OperationalError("away")
        return real(progress)

    monkeypatch.setattr(module, "store_progress", failing)
    told.feed("stdout", "::attune progress percent=4\n")

    assert wait_for(lambda: progress() == (4.0, None))


def keep_the_tests_own_connections(monkeypatch):
    """The teller's thread closes its own, as ever: nobody else would."""
    close, ours = module.connections.close_all, threading.current_thread()
    monkeypatch.setattr(
        module.connections, "close_all", lambda: threading.current_thread() is ours or close()
    )


def test_at_the_end_an_absent_database_is_noted(told, monkeypatch):
    def failing(progress):
        raise OperationalError("away")

    keep_the_tests_own_connections(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(module, "store_progress", failing)
        told.feed("stdout", "::attune progress percent=4\n")

        assert "could not be stored: the database was away" in told.close()[0]


def test_values_of_one_run_do_not_hold_up_progress_of_another(run, make_run, monkeypatch):
    other = make_run(action_ref="demo.other")
    one, two = Told(run.id, run.token), Told(other.id, other.token)

    def failing(*_):
        raise ValueError("odd")

    monkeypatch.setattr(module, "store", failing)
    one.feed("stdout", "::attune artifact name=x value=1\n")
    two.feed("stdout", "::attune progress percent=8\n")

    assert "values could not be stored: ValueError" in one.close()
    assert two.close() == []
    assert progress() == (8.0, None)


def test_the_end_waits_for_what_is_on_its_way(told, monkeypatch):
    real, under_way, go_on = module.store_progress, threading.Event(), threading.Event()

    def slow(progress):
        under_way.set()
        assert go_on.wait(60)
        return real(progress)

    monkeypatch.setattr(module, "store_progress", slow)
    told.feed("stdout", "::attune progress percent=4\n")
    assert under_way.wait(60)
    closing = threading.Thread(target=lambda: (told.close(), module.connections.close_all()))
    closing.start()
    go_on.set()
    closing.join(60)

    assert progress() == (4.0, None)


LINES = st.lists(
    st.sampled_from(
        ["::attune progress percent=5 text=a b", "::attune artifact name=x value=[1]", "", "word", "::att",
         "::", "x::attune progress percent=1", "::attune nothing", "::attune progress percent=77\r"]
    ),
    max_size=8,
)  # fmt: skip


@settings(deadline=None)
@given(LINES, st.booleans(), st.lists(st.integers(1, 12), min_size=1))
def test_however_a_stream_is_cut_the_same_is_told(lines, ended, cuts):
    text = "\n".join(lines) + "\n" * ended
    pieces, at = [], 0
    while at < len(text):
        pieces.append(text[at : at + cuts[at % len(cuts)]])
        at += len(pieces[-1])

    assert heard(pieces) == heard([text])


def heard(pieces):
    """Return what a run has told, without storing it."""
    told = Told(0, uuid.uuid4())
    with mock.patch.object(teller, "wake"), mock.patch.object(teller, "finish"):
        for piece in pieces:
            told.feed("stdout", piece)
        notes = told.close()
    return told.pending(), notes
