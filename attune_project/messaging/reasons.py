"""Why something failed, in words that may be stored and shown: bounded, and without our secrets."""

import re
import traceback
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import InterfaceError, OperationalError, ProgrammingError

# Why a message or a row was set aside; the broker has words of its own: rejected, expired, delivery_limit.
MALFORMED = "malformed"
UNKNOWN_TASK = "unknown_task"
UNSUPPORTED_VERSION = "unsupported_version"
MISROUTED = "misrouted"
STEP_FAILED = "step_failed"
PROCESS_DIED = "process_died"

LONGEST = 8_000
MASK = "********"
CANCELED, TOO_LARGE = "57014", "54"  # a SQLSTATE, and a class of them
_LOGIN = re.compile(r"(\w+://)[^\s/@]*@")
# PostgreSQL quotes values there: a payload or a key's.
_QUOTED = re.compile(r"^(DETAIL|CONTEXT):.*(\n(?!  File |[A-Z]).*)*", re.MULTILINE)


def words_of(problem: BaseException) -> str:
    """Return an exception's traceback with its causes, at most LONGEST characters, the end of it kept."""
    text = "".join(traceback.format_exception(problem))
    return bounded(masked(_QUOTED.sub(r"\1: (left out)", text)))


def bounded(text: str) -> str:
    """Return a text as PostgreSQL can hold it, its middle left out when it is long."""
    text = text.replace("\x00", "\ufffd").encode(errors="replace").decode()
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def masked(text: str) -> str:
    """Return a text without the secrets of this installation, and without logins in addresses."""
    for secret in _secrets():
        text = text.replace(secret, MASK)
    return _LOGIN.sub(rf"\1{MASK}@", text)


def _secrets() -> list[str]:
    passwords = [urlsplit(url).password for url in (settings.DATABASE_URL, settings.BROKER_URL)]
    known = [
        settings.SECRET_KEY, settings.ATTUNE_JWT_SECRET, settings.ATTUNE_ENCRYPTION_KEY,
        *settings.ATTUNE_ENCRYPTION_KEYS_OLD,
        *passwords, *(unquote(one) for one in passwords if one),
    ]  # fmt: skip
    return sorted({one for one in known if one and len(one) >= 6}, key=len, reverse=True)


def blames_row(problem: BaseException) -> bool:
    """Tell whether a row may be at fault: not when the database is away or isn't as the code expects.

    A value that is too large for PostgreSQL and a statement that takes too long are the row's, although
    they come as the same exceptions.
    """
    state = str(getattr(problem.__cause__, "sqlstate", None) or "")
    if isinstance(problem, OperationalError):
        return state.startswith(TOO_LARGE) or state == CANCELED
    if isinstance(problem, ProgrammingError):
        return not state
    return not isinstance(problem, InterfaceError)
