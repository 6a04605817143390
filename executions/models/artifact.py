"""Artifacts: files and values that actions leave behind, each with its versions."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from attune_project.rows import Row, one_of


class ArtifactType(models.TextChoices):
    FILE_BINARY = "file_binary"
    FILE_DATATABLE = "file_datatable"
    FILE_IMAGE = "file_image"
    FILE_TEXT = "file_text"
    OTHER = "other"  # a JSON value
    PROGRESS = "progress"  # a list of steps that grows
    URL = "url"  # an address


class Visibility(models.TextChoices):
    PUBLIC = "public"  # read by whoever may read some artifact
    PRIVATE = "private"  # by the owner and those with owner: any


class Retention(models.TextChoices):
    VERSIONS = "versions"  # the newest n
    DAYS = "days"
    HOURS = "hours"
    MINUTES = "minutes"


class Scope(models.TextChoices):
    SYSTEM = "system"
    IDENTITY = "identity"
    PACK = "pack"
    ACTION = "action"
    SENSOR = "sensor"


class Artifact(Row):
    """A thing with versions. Values, urls and lists of progress are in `data`; files have versions only."""

    ref = models.TextField()
    scope = models.TextField(choices=Scope, default=Scope.SYSTEM)
    owner = models.TextField(default="", blank=True)  # login or ref, as scope says
    owner_identity = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, db_constraint=False, db_index=False,
        related_name="+",
    )  # fmt: skip
    pack_ref = models.TextField(null=True, blank=True)  # of an owner that is a pack or in one
    type = models.TextField(choices=ArtifactType)
    visibility = models.TextField(choices=Visibility, default=Visibility.PRIVATE)
    name = models.TextField(null=True, blank=True)
    description = models.TextField(null=True, blank=True)
    content_type = models.TextField(null=True, blank=True)
    size_bytes = models.BigIntegerField(null=True, blank=True)  # of the newest version
    data = models.JSONField(null=True, blank=True)  # of values, urls and progress
    retention_policy = models.TextField(choices=Retention, default=Retention.VERSIONS)
    retention_limit = models.IntegerField(default=5)
    last_version = models.IntegerField(default=0)  # the newest number that was given; never given again
    expires_at = models.DateTimeField(null=True, blank=True)  # the last write, and the time it is kept
    execution = models.ForeignKey(
        "executions.Execution", models.DO_NOTHING, null=True, db_constraint=False, db_index=False,
        related_name="artifacts",
    )  # fmt: skip

    class Meta(Row.Meta):
        db_table = "artifact"
        constraints = [
            models.UniqueConstraint(fields=["ref"], name="artifact_ref_key"),
            one_of("artifact_scope_check", "scope", Scope),
            one_of("artifact_type_check", "type", ArtifactType),
            one_of("artifact_visibility_check", "visibility", Visibility),
            one_of("artifact_retention_policy_check", "retention_policy", Retention),
        ]
        indexes = [
            models.Index(
                fields=["execution"], condition=Q(execution__isnull=False), name="artifact_execution_idx"
            ),
            # retention: WHERE expires_at <= now
            models.Index(
                fields=["expires_at"], condition=Q(expires_at__isnull=False), name="artifact_expires_idx"
            ),
            models.Index(fields=["-created", "-id"], name="artifact_created_idx"),
        ]

    def __str__(self) -> str:
        return self.ref


class ArtifactVersion(Row):
    artifact = models.ForeignKey(Artifact, models.CASCADE, db_index=False, related_name="versions")
    version = models.IntegerField()
    content_type = models.TextField()
    size_bytes = models.BigIntegerField()
    sha256 = models.TextField()
    meta = models.JSONField(default=dict, blank=True)
    created_by = models.TextField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    execution = models.ForeignKey(
        "executions.Execution", models.DO_NOTHING, null=True, db_constraint=False, db_index=False,
        related_name="+",
    )  # fmt: skip

    class Meta(Row.Meta):
        db_table = "artifact_version"
        constraints = [
            models.UniqueConstraint(
                fields=["artifact", "version"], name="artifact_version_artifact_id_version_key"
            )
        ]
        indexes = [
            # retention: WHERE expires_at <= now
            models.Index(
                fields=["expires_at"],
                condition=Q(expires_at__isnull=False),
                name="artifact_version_expires_idx",
            )
        ]

    def __str__(self) -> str:
        return f"version {self.version} of artifact {self.artifact_id}"


class ArtifactChunk(Row):
    """A piece of a version's content: workers and web share nothing but the database."""

    version = models.ForeignKey(ArtifactVersion, models.CASCADE, db_index=False, related_name="chunks")
    place = models.IntegerField()
    content = models.BinaryField()

    class Meta(Row.Meta):
        db_table = "artifact_chunk"
        constraints = [
            models.UniqueConstraint(fields=["version", "place"], name="artifact_chunk_version_id_place_key")
        ]

    def __str__(self) -> str:
        return f"piece {self.place} of version {self.version_id}"
