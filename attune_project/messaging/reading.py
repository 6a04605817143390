"""Whether a message is one of ours: told before Celery sees it, and again of a dead one.

Celery acknowledges what it can't decode, which loses it; a task that isn't there or whose arguments are
wrong would come back until its queue gives up.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attune_project.messaging import topology
from attune_project.messaging.reasons import MALFORMED, UNKNOWN_TASK, UNSUPPORTED_VERSION
from attune_project.messaging.topology import MessageType

VERSION = "1.0"
LONGEST_BODY = 1_000_000  # bytes; 500 ids have 10,000
LARGEST_ID = 2**63 - 1
JSON = "application/json"


@dataclass(frozen=True)
class Bad:
    """What is wrong with a message: a word, and a sentence."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Understood:
    """What a message of ours says."""

    message: MessageType
    ids: list[int]
    probe: bool = False


def read(headers: Any, body: Any, content_type: str | None = JSON) -> Understood | Bad:
    """Return what a message says, or why it says nothing. Trusts nothing in it."""
    task = headers.get("task") if isinstance(headers, Mapping) else None
    if task is None:
        return Bad(MALFORMED, "Its headers name no task: it isn't a Celery message.")
    message = next((one for one in topology.MESSAGE_TYPES if one.task == task), None)
    if message is None:
        return Bad(UNKNOWN_TASK, f"No message type has the task {_short(task)}.")
    version = headers.get("version", VERSION)
    if version != VERSION:
        return Bad(UNSUPPORTED_VERSION, f"Its version is {_short(version)}; {VERSION} is understood.")
    document = document_of(body, content_type)
    if isinstance(document, Bad):
        return document
    ids = _ids(document, message.argument)
    return Understood(message, ids, "probe" in headers) if isinstance(ids, list) else ids


def document_of(body: Any, content_type: str | None) -> Any:
    """Return a body's JSON document, or Bad."""
    if content_type != JSON:
        return Bad(MALFORMED, f"Its content type is {_short(content_type)}; {JSON} is accepted.")
    if len(body) > LONGEST_BODY:
        return Bad(MALFORMED, f"Its body has {len(body)} bytes; {LONGEST_BODY} are read.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as problem:
        return Bad(MALFORMED, f"Its body isn't JSON: {_short(problem)}")


def key_of(headers: Any, body: Any) -> str:
    """Return what tells a message from others: its id, else what it says."""
    known = headers if isinstance(headers, Mapping) else {}
    given = known.get("message_id") or known.get("id")
    if given:
        return str(given)[:200].replace("\x00", "\ufffd").encode(errors="replace").decode()
    raw = body if isinstance(body, bytes) else str(body).encode(errors="replace")
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _ids(document: Any, argument: str) -> list[int] | Bad:
    wanted = f"Its body isn't [[], {{{argument}: [ids]}}, {{...}}]"
    if not (isinstance(document, list) and len(document) == 3 and isinstance(document[1], dict)):
        return Bad(MALFORMED, f"{wanted}.")
    args, arguments, _ = document
    if args or set(arguments) != {argument} or not isinstance(arguments[argument], list):
        return Bad(MALFORMED, f"{wanted}.")
    ids: list[int] = arguments[argument]
    if not all(type(one) is int and 0 < one <= LARGEST_ID for one in ids):
        return Bad(MALFORMED, f"{wanted}: an id is a whole number above 0.")
    return ids


def _short(value: Any) -> str:
    return repr(str(value))[:200]
