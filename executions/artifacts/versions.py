"""Give an artifact a new version, or change what it says of itself."""

from collections.abc import Mapping
from typing import IO, Any

from django.db import transaction

from executions.artifacts import retention
from executions.artifacts.content import writing
from executions.artifacts.storing import note_written
from executions.models import Artifact, ArtifactVersion


def locked(artifact_id: int) -> Artifact | None:
    """Return an artifact as it is now, locked until the transaction ends."""
    return Artifact.objects.select_for_update(of=("self",)).filter(pk=artifact_id).first()


def append(
    artifact: Artifact,
    file: IO[bytes],
    size: int,
    content_type: str,
    *,
    meta: Mapping[str, Any],
    created_by: str | None,
    execution_id: int | None,
) -> ArtifactVersion:
    """Store the first `size` bytes of a file as the newest version. Call it with the row locked."""
    artifact.last_version += 1
    artifact.content_type = content_type
    version = ArtifactVersion.objects.create(
        artifact=artifact,
        version=artifact.last_version,
        content_type=content_type,
        size_bytes=0,
        sha256="",
        meta=meta,
        created_by=created_by,
        execution_id=execution_id,
    )
    artifact.save()
    with writing() as writer:
        written = writer.write(version.pk, file, size)
    note_written([written])
    retention.apply_policy(artifact)
    version.refresh_from_db()
    return version


def write(artifact: Artifact) -> None:
    """Store a changed artifact, and hold it to its policy. Call it with the row locked."""
    with transaction.atomic():
        artifact.save()
        retention.apply_policy(artifact)
        artifact.refresh_from_db()
