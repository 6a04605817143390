"""What worker and guard say to each other: one datagram of a SOCK_SEQPACKET pair is one message.

Worker: SPEC pieces, the first with the files of the run, then PERMIT, STOP and KILL in any order. Guard:
READY, the first time with a pidfd of itself, then FAILED or EXITED, once. The end of the socket means that
nobody of the run is left; so does OVER, or EXITED with that flag: then the guard is ready for another SPEC.
"""

from __future__ import annotations

import marshal
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any

MORE, SPEC = b"+", b"."  # a piece of the specification; its last one
PERMIT, STOP, KILL = b"P", b"S", b"K"  # until (CLOCK_BOOTTIME, s); grace (s)
READY, FAILED, EXITED, OVER = b"R", b"F", b"X", b"O"
READY_AS_INIT = READY + b"1"  # of a PID namespace: the kernel kills everybody when this guard is gone

# What ended it: itself, its worker, the wall-clock limit, the end of its permit, or of its worker.
WHYS = ("exited", "stopped", "limit", "lapsed", "orphaned")

PIECE = 32 * 1024  # a datagram must fit into a socket's buffer
LARGEST = PIECE + 1

_NUMBER = struct.Struct("<d")
_FILE = struct.Struct("@i")
_FORMAT = 4  # of marshal, which says it all in C: half of what a guard's start costs is what it touches
_END = struct.Struct("<idB?")

# Plain numbers: to combine the constants' enums at each call costs more than the call.
_WAIT = int(socket.MSG_CMSG_CLOEXEC)
_NO_WAIT = _WAIT | int(socket.MSG_DONTWAIT)


def specification(spec: dict[str, Any]) -> Iterator[bytes]:
    """Return the datagrams that carry a specification."""
    whole = marshal.dumps(spec, _FORMAT)
    for start in range(0, len(whole), PIECE):
        last = start + PIECE >= len(whole)
        yield (SPEC if last else MORE) + whole[start : start + PIECE]


def number(kind: bytes, value: float) -> bytes:
    return kind + _NUMBER.pack(value)


def number_in(message: bytes) -> float:
    return float(_NUMBER.unpack(message[1:])[0])


def end(code: int, cpu: float, why: str, *, over: bool = False) -> bytes:
    """Return how an action's first process ended: `code` is negative after a signal. `cpu` in s.

    `over`: nobody else is left either, and the guard goes on.
    """
    return EXITED + _END.pack(code, cpu, WHYS.index(why), over)


def end_in(message: bytes) -> tuple[int, float, str, bool]:
    code, cpu, why, over = _END.unpack(message[1:])
    return code, cpu, WHYS[why], over


def failed(problem: OSError) -> bytes:
    """Return why an action could not be started."""
    file = problem.filename if isinstance(problem.filename, str) else ""
    return FAILED + marshal.dumps((problem.errno or 0, str(problem.strerror), file), _FORMAT)


def failed_in(message: bytes) -> OSError:
    number, text, file = marshal.loads(message[1:])  # noqa: S302 (of our own fork)
    return OSError(number, text, file) if file else OSError(number, text)


def specification_in(pieces: bytes) -> Any:
    return marshal.loads(pieces)  # noqa: S302 (of our own worker)


def send_files(peer: socket.socket, message: bytes, files: Sequence[int]) -> None:
    """Send a datagram with files. (`socket.send_fds` imports a module at each call.)"""
    data = b"".join(map(_FILE.pack, files))
    peer.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, data)] if files else [])


def receive(peer: socket.socket, *, wait: bool = True, files: int = 0) -> tuple[bytes, list[int]]:
    """Return a datagram and the files that came with it, which no exec inherits; b"" at the end.

    Raises BlockingIOError if there is none and `wait` is False. (`socket.recv_fds` of Python 3.11 drops
    its flags.)
    """
    message, ancillary, _flags, _address = peer.recvmsg(
        LARGEST, socket.CMSG_LEN(files * _FILE.size), _WAIT if wait else _NO_WAIT
    )
    handles = [
        handle
        for level, kind, data in ancillary
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        for (handle,) in _FILE.iter_unpack(data[: len(data) // _FILE.size * _FILE.size])
    ]
    return message, handles
