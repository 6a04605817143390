"""Counting work instead of timing it: the same on a fast machine, a slow one and a busy one."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TooMuchWork(AssertionError):
    """More calls than were allowed."""


@contextmanager
def at_most(calls: int) -> Iterator[None]:
    """Fail at the first call too many; functions of Python and of C count alike.

    It ends what it stops there and then, so that work without a bound is a failure and no hang.
    """
    left = calls

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal left
        if event in ("call", "c_call"):
            left -= 1
            if left < 0:
                raise TooMuchWork(f"more than {calls} calls")

    before: Callable[..., Any] | None = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
