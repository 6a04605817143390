"""What the worker makes of what a guard says."""

import socket
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from executions.guard import wire
from executions.guard.client import Exit, Guarded, Line

Ends = tuple[Line, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A line, and the guard's end of it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        yield Line(ours, Mock()), theirs
    ours.close()


def test_a_guard_that_goes_on_rests_when_its_run_is_closed(ends: Ends):
    line, guard = ends
    rest = Mock()
    guarded = Guarded(line, rest)
    guard.send(wire.end(0, 0.5, "exited", over=True))

    guarded.hear()
    guarded.close()

    assert guarded.over
    rest.assert_called_once_with(line)


def test_a_guard_that_says_nothing_of_going_on_is_hung_up_on(ends: Ends):
    line, guard = ends
    rest = Mock()
    guarded = Guarded(line, rest)
    guard.send(wire.end(0, 0.5, "exited"))

    guarded.hear()
    guarded.close()

    rest.assert_not_called()
    assert guard.recv(1) == b""


def test_a_renewal_that_comes_late_does_not_reach_the_next_run(ends: Ends):
    line, guard = ends
    guarded = Guarded(line, Mock())
    guard.send(wire.OVER)
    guarded.hear()
    guarded.close()

    guarded.permit(1e9)
    guarded.stop(0)

    guard.setblocking(False)
    with pytest.raises(BlockingIOError):
        guard.recv(1)


def test_what_a_guard_did_not_take_on_was_not_started(ends: Ends):
    line, guard = ends
    guard.close()

    assert not Guarded(line, Mock()).begin({}, [])


def test_what_a_guard_took_on_is_heard_though_it_died(ends: Ends):
    """A permit that it left unread makes the kernel report a reset first."""
    line, guard = ends
    Guarded(line, Mock()).permit(1e9)
    guard.send(wire.READY)
    guard.close()

    assert line.receive(wait=True) == (wire.READY, [])


def test_a_guard_that_ends_with_a_permit_unread_has_still_told_the_end():
    """The kernel reports the reset before it hands over what was said."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    guarded = Guarded(Line(ours, Mock()), Mock())
    theirs.send(wire.end(0, 0.5, "exited"))
    guarded.permit(1e9)
    theirs.close()

    guarded.hear()
    guarded.close()

    assert guarded.exit == Exit(0, 0.5, "exited")
    assert guarded.over
