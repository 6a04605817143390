"""Users that are lent to runs: one each, whichever worker process of this host runs it."""

from __future__ import annotations

import fcntl
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

LOCKS = Path("/run/attune/users")  # of the host, not of an installation: user ids are the host's, too


class NoUserLeft(OSError):
    """Every user of the range runs something."""


@dataclass(frozen=True, slots=True)
class User:
    """A user id, which is its group's, too. Whoever holds the file `lock` has the use of it."""

    uid: int
    lock: int


@contextmanager
def lent_user(uids: range) -> Iterator[User]:
    """Lend a user that nobody else uses. Raises NoUserLeft.

    Not always the same one: what a run left behind in a shared folder is seldom the next one's to read.
    """
    LOCKS.mkdir(mode=0o700, parents=True, exist_ok=True)
    user = _any_of(uids)
    try:
        yield user
    finally:
        os.close(user.lock)


def _any_of(uids: range) -> User:
    for uid in random.sample(uids, len(uids)):
        lock = os.open(LOCKS / str(uid), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return User(uid, lock)
        os.close(lock)
    raise NoUserLeft(f"All {len(uids)} users of ATTUNE_RUN_UIDS are in use")
