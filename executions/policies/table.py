"""The enabled policies as deciders use them: read once, and never older than the decision."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from executions.models import Method


@dataclass(frozen=True)
class Known:
    """An enabled policy."""

    id: int
    ref: str
    method: Method
    threshold: int
    parameters: tuple[str, ...]
    action_ref: str | None = None
    pack_ref: str | None = None
    rate_limit: int | None = None
    rate_seconds: float | None = None
    max_queue_length: int | None = None

    @property
    def may_trim(self) -> bool:
        """Tell whether this policy ends some of what would wait."""
        return self.method != Method.ENQUEUE or self.max_queue_length is not None


@dataclass(frozen=True)
class Table:
    """Every enabled policy at one stamp; None is the stamp before the first policy."""

    stamp: uuid.UUID | None = None
    by_id: Mapping[int, Known] = field(default_factory=dict)
    of_actions: Mapping[str, Known] = field(default_factory=dict)
    of_packs: Mapping[str, Known] = field(default_factory=dict)
    of_all: Known | None = None

    def of(self, action_ref: str) -> Known | None:
        """Return what holds for an action: the newest policy of its own, else of its pack, else of all."""
        if not self.by_id:
            return None
        pack_ref = action_ref.partition(".")[0]
        return self.of_actions.get(action_ref) or self.of_packs.get(pack_ref) or self.of_all


_STAMP = "SELECT (SELECT stamp FROM policy_stamp WHERE id = 1)"
# One statement, one snapshot: the policies and their stamp belong together.
_LOAD = """
SELECT (SELECT stamp FROM policy_stamp WHERE id = 1),
       (SELECT COALESCE(jsonb_agg(jsonb_build_object(
           'id', id, 'ref', ref, 'action_ref', action_ref, 'pack_ref', pack_ref, 'method', method,
           'threshold', threshold, 'parameters', parameters, 'rate_limit', rate_limit,
           'rate_seconds', rate_seconds, 'max_queue_length', max_queue_length) ORDER BY created, id), '[]')
        FROM policy WHERE enabled)
"""
_cached: Table | None = None


def cached() -> Table:
    """Return the policies that this process read last: who decides by them must compare the stamp."""
    return _cached if _cached is not None else _load()


def current() -> Table:
    """Return the policies as they are now: one small query when nothing changed."""
    with connection.cursor() as cursor:
        cursor.execute(_STAMP)
        stamp = cursor.fetchone()[0]
    return _cached if _cached is not None and _cached.stamp == stamp else _load()


def _load() -> Table:
    global _cached  # noqa: PLW0603 (a cache per process)
    with connection.cursor() as cursor:
        cursor.execute(_LOAD)
        stamp, rows = cursor.fetchone()
    _cached = build(stamp, json.loads(rows) if isinstance(rows, str) else rows)
    return _cached


def build(stamp: uuid.UUID | None, rows: list[dict[str, Any]]) -> Table:
    """Make the table of policies; of two with the same scope the later one, which is newer, counts."""
    all_known = [
        Known(**{**row, "method": Method(row["method"]), "parameters": tuple(row["parameters"])})
        for row in rows
    ]
    of_all = [one for one in all_known if one.action_ref is None and one.pack_ref is None]
    return Table(
        stamp,
        {one.id: one for one in all_known},
        {one.action_ref: one for one in all_known if one.action_ref is not None},
        {one.pack_ref: one for one in all_known if one.action_ref is None and one.pack_ref is not None},
        of_all[-1] if of_all else None,
    )
