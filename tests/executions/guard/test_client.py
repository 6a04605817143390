"""What the worker makes of what a guard says."""

import socket
from unittest.mock import Mock

from executions.guard import wire
from executions.guard.client import Exit, Guarded


def test_a_guard_that_ends_with_a_permit_unread_has_still_told_the_end():
    """The kernel reports the reset before it hands over what was said."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    guarded = Guarded(ours, Mock())
    theirs.send(wire.end(0, 0.5, "exited"))
    guarded.permit(1e9)
    theirs.close()

    guarded.hear()
    guarded.close()

    assert guarded.exit == Exit(0, 0.5, "exited")
    assert guarded.over
