"""Who asks, and what they may do."""

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "attune_project.identity"
    label = "identity"
    verbose_name = "Identities"

    def ready(self) -> None:
        # Imported for what they register.
        from . import checks, openapi  # noqa: F401, PLC0415
