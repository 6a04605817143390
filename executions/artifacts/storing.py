"""Store what a run left: files and values become artifacts, progress its row; all under its lease only."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from django.conf import settings
from django.db import connection, transaction

from executions.artifacts import content, retention
from executions.artifacts.names import ref_of

_LEASED = "x.lease_token = %s AND x.status IN ('running', 'canceling')"
_ARTIFACTS = f"""
INSERT INTO artifact (ref, scope, owner, owner_identity_id, pack_ref, type, visibility, name, content_type,
                      size_bytes, data, retention_policy, retention_limit, last_version, expires_at,
                      execution_id)
SELECT f.ref, 'action', x.action_ref, x.executor_id, split_part(x.action_ref, '.', 1), f.type, 'private',
       f.name, f.content_type, NULL, f.data, 'days', %s, f.version, now() + make_interval(days => %s), x.id
FROM execution x,
     unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::jsonb[], %s::int[])
         AS f(ref, name, type, content_type, data, version)
WHERE x.id = %s AND {_LEASED}
ON CONFLICT (ref) DO UPDATE
SET type = EXCLUDED.type, content_type = EXCLUDED.content_type, data = EXCLUDED.data,
    last_version = artifact.last_version + EXCLUDED.last_version,
    expires_at = {retention.expiry("artifact")}, updated = now()
WHERE artifact.execution_id = EXCLUDED.execution_id
RETURNING id, ref
"""  # noqa: S608 (constants)
_VERSIONS = """
INSERT INTO artifact_version (artifact_id, version, content_type, size_bytes, sha256, meta, created_by,
                              expires_at, execution_id)
SELECT a.id, a.last_version, a.content_type, 0, '', '{}', a.owner, a.expires_at, a.execution_id
FROM artifact a WHERE a.id = ANY(%s)
RETURNING artifact_id, id
"""
_WRITTEN = """
WITH written AS (
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[]) AS written(id, size_bytes, sha256)
), done AS (
    UPDATE artifact_version v SET size_bytes = w.size_bytes, sha256 = w.sha256
    FROM written w WHERE v.id = w.id RETURNING v.artifact_id, w.size_bytes
)
UPDATE artifact a SET size_bytes = d.size_bytes FROM done d WHERE a.id = d.artifact_id
"""
_KNOWN = """
SELECT a.name, a.ref, a.type IN ('other', 'url'),
       (SELECT COALESCE(sum(v.size_bytes), 0) FROM artifact_version v WHERE v.artifact_id = a.id)
FROM artifact a WHERE a.execution_id = %s
"""
_PROGRESS = f"""
INSERT INTO progress (execution_id, percent, text)
SELECT x.id, p.percent, p.text
FROM unnest(%s::bigint[], %s::uuid[], %s::float8[], %s::text[]) AS p(id, token, percent, text)
JOIN execution x ON x.id = p.id AND {_LEASED.replace("%s", "p.token")}
ON CONFLICT (execution_id) DO UPDATE
SET percent = EXCLUDED.percent, text = EXCLUDED.text, updated = clock_timestamp()
RETURNING execution_id
"""  # noqa: S608 (constants)


class LeaseLost(Exception):
    """The run isn't ours any more: nothing of it was stored."""


@dataclass(frozen=True, slots=True)
class Run:
    """A claimed execution as this module sees it."""

    id: int
    token: uuid.UUID


@dataclass(frozen=True, slots=True)
class Leaf:
    """One thing to be stored under a name: a file that is open, or a value."""

    name: str
    type: str
    content_type: str
    file: IO[bytes] | None = None
    size: int = 0
    data: Any = None

    @property
    def is_value(self) -> bool:
        return self.file is None


class Refs:
    """Which ref each name of a run has: the one it had in an earlier attempt, or one that is free."""

    def __init__(self, run: Run) -> None:
        self._run = run
        with connection.cursor() as cursor:
            cursor.execute(_KNOWN, [run.id])
            rows = cursor.fetchall()
        self._given = {(name, bool(is_value)): ref for name, ref, is_value, _ in rows}
        self._taken = {ref for _, ref, _, _ in rows}
        self.stored_bytes = sum(int(size) for *_, size in rows)

    def of(self, leaf: Leaf) -> str:
        ref = self._given.get((leaf.name, leaf.is_value)) or ref_of(self._run.id, leaf.name)
        if (leaf.name, leaf.is_value) not in self._given and ref in self._taken:
            ref = self.another(leaf)
        return self._give(leaf, ref)

    def another(self, leaf: Leaf) -> str:
        """Give another ref to a thing whose own somebody else has."""
        kind = "value " if leaf.is_value else ""
        return self._give(leaf, ref_of(self._run.id, kind + leaf.name, digest=True))

    def _give(self, leaf: Leaf, ref: str) -> str:
        self._given[leaf.name, leaf.is_value] = ref
        self._taken.add(ref)
        return ref


def store(run: Run, leaves: Sequence[Leaf], refs: Refs) -> None:
    """Store things as artifacts, each file as a new version; raise LeaseLost. All or nothing."""
    with transaction.atomic():
        wanted = {refs.of(leaf): leaf for leaf in leaves}
        ids = _artifacts(run, wanted)
        foreign = [leaf for ref, leaf in wanted.items() if ref not in ids]
        if foreign:  # or the lease is lost, and then nothing comes back again
            again = {refs.another(leaf): leaf for leaf in foreign}
            found = _artifacts(run, again)
            if len(found) < len(again):
                raise LeaseLost
            ids |= found
            wanted = {ref: leaf for ref, leaf in wanted.items() if leaf not in foreign} | again
        _contents({ids[ref]: leaf for ref, leaf in wanted.items() if leaf.file is not None})


def _artifacts(run: Run, wanted: Mapping[str, Leaf]) -> dict[str, int]:
    """Make the artifacts, or take them for the next version; return the ids of those that are the run's."""
    days = settings.ATTUNE_ARTIFACT_DAYS
    leaves = list(wanted.values())
    columns: list[list[Any]] = [
        list(wanted),
        [leaf.name for leaf in leaves],
        [leaf.type for leaf in leaves],
        [leaf.content_type for leaf in leaves],
        [json.dumps(leaf.data) if leaf.is_value else None for leaf in leaves],
        [int(not leaf.is_value) for leaf in leaves],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_ARTIFACTS, [days, days, *columns, run.id, run.token])
        return {ref: row_id for row_id, ref in cursor.fetchall()}


def _contents(files: Mapping[int, Leaf]) -> None:
    """Write the files of artifacts, by the artifacts' ids, as their newest versions."""
    if not files:
        return
    with connection.cursor() as cursor:
        cursor.execute(_VERSIONS, [list(files)])
        versions = cursor.fetchall()
    with content.writing() as writer:
        written = [
            writer.write(version_id, file, leaf.size)
            for artifact_id, version_id in versions
            if (file := (leaf := files[artifact_id]).file) is not None
        ]
    note_written(written)
    retention.prune(list(files))


def note_written(written: Collection[content.Written]) -> None:
    """Say at versions, and at their artifacts, what was written."""
    columns: list[list[Any]] = [
        [one.version_id for one in written],
        [one.size for one in written],
        [one.sha256 for one in written],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_WRITTEN, columns)


@dataclass(frozen=True, slots=True)
class Progress:
    percent: float | None
    text: str | None


def store_progress(progress: Mapping[Run, Progress]) -> list[int]:
    """Store how far runs have come, in one statement; return the executions whose leases still hold."""
    columns: list[list[Any]] = [
        [run.id for run in progress],
        [run.token for run in progress],
        [one.percent for one in progress.values()],
        [one.text for one in progress.values()],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_PROGRESS, columns)
        return [row[0] for row in cursor.fetchall()]
