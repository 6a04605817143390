"""Make what came in a message storable: anybody's message may end as a row."""

import json
import uuid
from typing import Any

LONGEST_BODY = 100_000  # characters of a body that are kept


def storable_headers(headers: Any) -> dict[str, Any]:
    """Return headers as JSON that PostgreSQL takes, or their Python text where there is no such JSON."""
    try:
        text = json.dumps(headers or {}, default=str, skipkeys=True, allow_nan=False, ensure_ascii=False)
        document = json.loads(text.replace("\\u0000", "\\ufffd").encode())
        return dict(document) if len(text) <= LONGEST_BODY else {"unreadable": text_of(text)}
    except (ValueError, TypeError, RecursionError):
        return {"unreadable": text_of(repr(headers))}


def trace_of(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return None


def text_of(body: Any) -> str:
    """Return a body as text, at most LONGEST_BODY bytes of it."""
    raw = body if isinstance(body, bytes) else str(body).encode(errors="replace")
    return raw[:LONGEST_BODY].decode(errors="replace").replace("\x00", "\ufffd")
