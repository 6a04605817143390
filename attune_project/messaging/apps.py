"""The messaging app: topology, rings, probes, polls."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db import connections
from django.db.models.signals import pre_migrate

from attune_project import faults
from attune_project.service import current_service, keep_private


def create_schema(using: str, **_: Any) -> None:
    """Create the schema before the first migration, or all tables quietly land in `public`."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'attune'")
        if cursor.fetchone() is None:
            cursor.execute("CREATE SCHEMA IF NOT EXISTS attune")


class MessagingConfig(AppConfig):
    name = "attune_project.messaging"
    label = "messaging"

    def ready(self) -> None:
        from attune_project.messaging import (  # noqa: PLC0415 (each registers checks or ticks)
            checks,  # noqa: F401
            counts,  # noqa: F401
            dead_letters,  # noqa: F401
            polls,  # noqa: F401
            probes,  # noqa: F401
        )

        faults.arm(settings.ATTUNE_FAULTS)
        pre_migrate.connect(create_schema, dispatch_uid="attune-schema")
        if current_service() != "shell":
            keep_private()
