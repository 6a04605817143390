"""What one rendering may cost, and the one error of expressions."""

import json
import time
from collections.abc import Mapping
from typing import Any

MAX_SOURCE = 8 * 1024
MAX_STEPS = 100_000
MAX_SECONDS = 0.1
MAX_OUTPUT = 1 << 20


class ExpressionError(ValueError):
    """Why an expression has no value. The text names kinds and limits, never values: they may be secret."""


class Budget:
    """The steps, processor time and output that a rendering has left, and the roots that it may read."""

    __slots__ = ("context", "deadline", "output", "steps")

    def __init__(self, context: Mapping[str, Any]) -> None:
        self.context = context
        self.steps = MAX_STEPS
        self.output = MAX_OUTPUT
        self.deadline: float | None = None

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise ExpressionError(f"takes more than {MAX_STEPS} steps")

    def spend_on(self, value: Any) -> None:
        """Pay for looking at all of `value`: a step for each part, and for each 256 characters."""
        if isinstance(value, str):
            self.spend(len(value) >> 8)
            return
        stack = [value]
        while stack:
            part = stack.pop()
            if isinstance(part, str):
                self.spend(1 + (len(part) >> 8))
            elif isinstance(part, list | dict):
                self.spend(1 + len(part))
                stack.extend(part.values() if isinstance(part, dict) else part)

    def look_at_the_clock(self) -> None:
        """Raise after 100 ms of this thread's own processor time: waiting for a turn is no fault."""
        now = time.thread_time()
        if self.deadline is None:
            self.deadline = now + MAX_SECONDS
        elif now > self.deadline:
            raise ExpressionError(f"takes longer than {MAX_SECONDS * 1000:.0f} ms")

    def emit(self, value: Any) -> Any:
        """Take a finished value out of what may be put out; return it."""
        self.output -= size_of(value, self.output)
        if self.output < 0:
            raise ExpressionError(f"puts out more than {MAX_OUTPUT} characters")
        return value


def size_of(value: Any, limit: int = MAX_OUTPUT) -> int:
    """Return about how long `value` is as JSON; stops counting soon after `limit`."""
    if isinstance(value, str):
        return len(value)
    size = 0
    stack = [value]
    while stack and size <= limit:
        part = stack.pop()
        if isinstance(part, str):
            size += len(part) + 2
        elif isinstance(part, dict):
            size += 2 + sum(map(len, part)) + 4 * len(part)
            stack.extend(part.values())
        elif isinstance(part, list):
            size += 2 + len(part)
            stack.extend(part)
        elif type(part) is int:
            size += 1 + (part.bit_length() >> 1)
        else:
            size += 4
    return size


def fits(length: int) -> None:
    """Raise before something too long is made."""
    if length > MAX_OUTPUT:
        raise ExpressionError(f"makes a value longer than {MAX_OUTPUT} characters")


def to_text(value: Any) -> str:
    """Write a value inside of text: strings raw, null as nothing, the rest as compact JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    fits(size_of(value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
