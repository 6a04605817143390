"""Who asks, and what they may do."""

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "attune_project.identity"
    label = "identity"
    verbose_name = "Identities"
