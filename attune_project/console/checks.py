"""The product's own checks: each says in a sentence what is wrong and where to look.

A check is a function that reads what the services leave in the database (see checks_*.py) and returns
one `Check` for each thing that it looked at. None of them needs the broker or another service alive.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, transaction

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `reason` is a sentence to act on; on an ok check a remark, or nothing.

    `cause` names what is behind a red one, as far as that can be told: red checks of one cause are one
    alert. None: nothing but the check itself.
    """

    name: str
    ok: bool
    reason: str | None = None
    cause: str | None = None


Work = Callable[[], list[Check]]
_checks: list[tuple[str, Work]] = []


def check(work: Work) -> Work:
    """Register a function that works out checks."""
    _checks.append((work.__name__, work))
    return work


def work_out() -> list[Check]:
    """Work out every check, in order of name. Raises only when the database is away."""
    found = [one for name, work in _checks for one in _guarded(name, work)]
    return sorted(found, key=lambda one: one.name)


def _guarded(name: str, work: Work) -> list[Check]:
    """Run one function; what it can't say is a red check, not the end of the others."""
    try:
        with transaction.atomic():
            return work()
    except (OperationalError, InterfaceError):
        raise
    except (DatabaseError, LookupError, ValueError, TypeError) as problem:
        log.exception("check failed", check=name)
        return [
            Check(name, False, f"This check could not be worked out: {type(problem).__name__}: {problem}")
        ]
