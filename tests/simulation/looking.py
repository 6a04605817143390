"""All invariants in one statement that PostgreSQL plans once: a look between any two steps costs little."""

import json
from functools import cache
from typing import Any

from django.conf import settings

from attune_project.console.invariants import INVARIANTS
from attune_project.console.invariants.checking import _statement, constraints
from attune_project.statements import rows_of

EVER = 10**9  # seconds: nothing has been under way for so long


def broken(seconds: float = EVER) -> dict[str, Any]:
    """Return the rows that break an invariant, by its name; what came within `seconds` is under way."""
    parameters = {
        "seconds": seconds,
        "lease": settings.ATTUNE_LEASE_SECONDS,
        "constraints": constraints(),
    }
    return {name: json.loads(rows) for name, rows in rows_of(_every(), parameters)}


@cache
def _every() -> str:
    return " UNION ALL ".join(
        f"SELECT '{one.name}', json_agg(broken)::text FROM ({_statement(one)}) broken HAVING count(*) > 0"
        for one in INVARIANTS
    )
