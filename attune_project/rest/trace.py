"""The trace id: one uuid that goes with everything that follows from one request, tick or message."""

import uuid
from contextvars import ContextVar

import structlog

_current: ContextVar[uuid.UUID | None] = ContextVar("attune_trace_id", default=None)


def new_trace(trace_id: uuid.UUID | None = None) -> uuid.UUID:
    """Begin a trace (or go on with the given one) in this context; log lines carry it from here on."""
    trace = trace_id or uuid.uuid4()
    _current.set(trace)
    structlog.contextvars.bind_contextvars(trace_id=str(trace))
    return trace


def current_trace_id() -> uuid.UUID:
    """Return the trace of this context; begin one if there is none."""
    return _current.get() or new_trace()


def end_trace() -> None:
    _current.set(None)
    structlog.contextvars.unbind_contextvars("trace_id")


def trace_from_header(text: str | None) -> uuid.UUID | None:
    """Read an X-Request-Id; anything but a uuid counts as absent."""
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        return None
