"""What worker and guard say to each other: one datagram of a SOCK_SEQPACKET pair is one message.

Worker: SPEC pieces, then PERMIT, STOP and KILL in any order. Guard: READY with a pidfd of itself, then
FAILED or EXITED, once. The end of the socket means that nobody of the run is left.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

MORE, SPEC = b"+", b"."  # a piece of the specification; its last one
PERMIT, STOP, KILL = b"P", b"S", b"K"  # until (CLOCK_BOOTTIME, s); grace (s)
READY, FAILED, EXITED = b"R", b"F", b"X"
READY_AS_INIT = READY + b"1"  # of a PID namespace: the kernel kills everybody when this guard is gone

PIECE = 32 * 1024  # a datagram must fit into a socket's buffer
LARGEST = PIECE + 1

_NUMBER = struct.Struct("<d")
_FILE = struct.Struct("@i")


def specification(spec: dict[str, Any]) -> Iterator[bytes]:
    """Return the datagrams that carry a specification."""
    whole = json.dumps(spec).encode()
    for start in range(0, len(whole), PIECE):
        last = start + PIECE >= len(whole)
        yield (SPEC if last else MORE) + whole[start : start + PIECE]


def number(kind: bytes, value: float) -> bytes:
    return kind + _NUMBER.pack(value)


def number_in(message: bytes) -> float:
    return float(_NUMBER.unpack(message[1:])[0])


def document(kind: bytes, value: dict[str, Any]) -> bytes:
    return kind + json.dumps(value).encode()


def document_in(message: bytes) -> Any:
    return json.loads(message[1:])


def receive(peer: socket.socket, *, wait: bool = True, files: int = 0) -> tuple[bytes, list[int]]:
    """Return a datagram and the files that came with it, which no exec inherits; b"" at the end.

    Raises BlockingIOError if there is none and `wait` is False. (`socket.recv_fds` of Python 3.11 drops
    its flags.)
    """
    flags = socket.MSG_CMSG_CLOEXEC | (0 if wait else socket.MSG_DONTWAIT)
    message, ancillary, _flags, _address = peer.recvmsg(LARGEST, socket.CMSG_LEN(files * _FILE.size), flags)
    handles = [
        handle
        for level, kind, data in ancillary
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        for (handle,) in _FILE.iter_unpack(data[: len(data) // _FILE.size * _FILE.size])
    ]
    return message, handles
