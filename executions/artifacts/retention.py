"""How long artifacts are kept: the newest n versions, or days, hours or minutes after each was written.

A version goes `retention_limit` after it was written, and the artifact with all it has that long
after the last write to it.
"""

from collections.abc import Collection
from typing import Any

from django.db import connection, transaction

from executions.models import Artifact

BATCH = 20  # of one transaction
# The time at which what is written now goes, of an artifact named {row}; null: when newer ones come.
_EXPIRY = """CASE {row}.retention_policy
    WHEN 'days' THEN {since} + make_interval(days => {row}.retention_limit)
    WHEN 'hours' THEN {since} + make_interval(hours => {row}.retention_limit)
    WHEN 'minutes' THEN {since} + make_interval(mins => {row}.retention_limit) END"""

EXPIRED_ARTIFACTS = """
SELECT id FROM artifact WHERE expires_at <= clock_timestamp()
ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED
"""
EXPIRED_VERSIONS = """
SELECT id FROM artifact_version WHERE expires_at <= clock_timestamp()
ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED
"""
_PRUNE = """
SELECT v.id FROM artifact a JOIN artifact_version v ON v.artifact_id = a.id
WHERE a.id = ANY(%s) AND a.retention_policy = 'versions' AND v.version <= a.last_version - a.retention_limit
"""
_SIZES = """
UPDATE artifact a SET size_bytes = (SELECT v.size_bytes FROM artifact_version v WHERE v.artifact_id = a.id
                                    ORDER BY v.version DESC LIMIT 1)
WHERE a.id = ANY(%s)
"""


def expiry(row: str, since: str = "now()") -> str:
    """Return the SQL of the time at which what is written `since` then is to go."""
    return _EXPIRY.format(row=row, since=since)


def apply_policy(artifact: Artifact) -> None:
    """Hold an artifact, and each of its versions, to its present policy. Call it with the row locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE artifact a SET expires_at = {expiry('a', 'a.updated')} WHERE a.id = %s",  # noqa: S608
            [artifact.pk],
        )
        cursor.execute(
            f"UPDATE artifact_version v SET expires_at = {expiry('a', 'v.created')}"  # noqa: S608
            " FROM artifact a WHERE a.id = %s AND v.artifact_id = a.id",
            [artifact.pk],
        )
    prune([artifact.pk])


def prune(artifact_ids: Collection[int]) -> int:
    """Delete what is beyond the newest n versions where that is the policy; return how many."""
    return delete_versions(_ids(_PRUNE, [list(artifact_ids)]))


def expire(limit: int) -> int:
    """Delete up to `limit` artifacts and as many versions whose time is over; return the larger number."""
    with transaction.atomic():
        artifacts = _ids(EXPIRED_ARTIFACTS, [limit])
        delete_artifacts(artifacts)
    with transaction.atomic():
        versions = _ids(EXPIRED_VERSIONS, [limit])
        delete_versions(versions)
    return max(len(artifacts), len(versions))


def delete_artifacts(ids: Collection[int]) -> None:
    """Delete artifacts with their versions and contents. Call it in a transaction."""
    if not ids:
        return
    _run("DELETE FROM artifact_chunk WHERE version_id IN"
         " (SELECT id FROM artifact_version WHERE artifact_id = ANY(%s))", ids)  # fmt: skip
    _run("DELETE FROM artifact_version WHERE artifact_id = ANY(%s)", ids)
    _run("DELETE FROM artifact WHERE id = ANY(%s)", ids)


def delete_versions(ids: Collection[int]) -> int:
    """Delete versions with their contents; return how many. Call it in a transaction."""
    if not ids:
        return 0
    _run("DELETE FROM artifact_chunk WHERE version_id = ANY(%s)", ids)
    owners = _ids("DELETE FROM artifact_version WHERE id = ANY(%s) RETURNING artifact_id", [list(ids)])
    _run(_SIZES, set(owners))
    return len(owners)


def _run(statement: str, ids: Collection[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(ids)])


def _ids(statement: str, parameters: list[Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [row[0] for row in cursor.fetchall()]
