"""A worker process: where actions run, and how lately it was heard of."""

from django.conf import settings
from django.db import models

from attune_project.rows import Row, one_of


class WorkerType(models.TextChoices):
    LOCAL = "local"  # a process on a host
    REMOTE = "remote"  # a process on another host than the database's
    CONTAINER = "container"  # a process in a container


class WorkerRole(models.TextChoices):
    ACTION = "action"  # runs actions
    SENSOR = "sensor"  # hosts sensors


class WorkerStatus(models.TextChoices):
    ACTIVE = "active"  # takes work
    INACTIVE = "inactive"  # stopped, or not heard of for a lease
    BUSY = "busy"  # every slot is taken
    ERROR = "error"  # cannot work, and says why in meta.error


class Worker(Row):
    name = models.TextField()
    worker_type = models.TextField(choices=WorkerType, default=WorkerType.LOCAL)
    worker_role = models.TextField(choices=WorkerRole, default=WorkerRole.ACTION)
    pool = models.TextField(null=True, blank=True)
    host = models.TextField(null=True, blank=True)
    status = models.TextField(choices=WorkerStatus, default=WorkerStatus.ACTIVE)
    capabilities = models.JSONField(default=dict, blank=True)
    meta = models.JSONField(default=dict, blank=True)
    last_heartbeat = models.DateTimeField(null=True, blank=True)
    cordoned = models.BooleanField(default=False)
    cordon_reason = models.TextField(null=True, blank=True)
    cordoned_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    cordoned_at = models.DateTimeField(null=True, blank=True)
    drain_requested_at = models.DateTimeField(null=True, blank=True)  # it finishes what it runs, and ends

    class Meta(Row.Meta):
        db_table = "worker"
        constraints = [
            models.UniqueConstraint(fields=["name"], name="worker_name_key"),
            one_of("worker_type_check", "worker_type", WorkerType),
            one_of("worker_role_check", "worker_role", WorkerRole),
            one_of("worker_status_check", "status", WorkerStatus),
        ]

    def __str__(self) -> str:
        return self.name
