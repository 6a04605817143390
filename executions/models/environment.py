"""The environment of a pack on a worker host: what its dependencies were installed into."""

from django.db import models

from attune_project.rows import Row, one_of


class EnvironmentStatus(models.TextChoices):
    BUILDING = "building"  # a worker of the host installs it
    READY = "ready"  # actions run in it
    FAILED = "failed"  # the log says why; built again when asked for, or when the pack changes


class RuntimeEnvironment(Row):
    pack_ref = models.TextField()
    runtime_ref = models.TextField()
    host = models.TextField()
    digest = models.TextField()  # of the pack's dependency file and the runtime's version
    status = models.TextField(choices=EnvironmentStatus)
    step = models.TextField(null=True)  # what is being done, in words
    error = models.TextField(null=True)
    log = models.TextField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(Row.Meta):
        db_table = "runtime_environment"
        constraints = [
            models.UniqueConstraint(
                fields=["pack_ref", "runtime_ref", "host"], name="runtime_environment_place_key"
            ),
            one_of("runtime_environment_status_check", "status", EnvironmentStatus),
        ]

    def __str__(self) -> str:
        return f"{self.runtime_ref} of {self.pack_ref} on {self.host}"
