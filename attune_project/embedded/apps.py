"""App configuration."""

from django.apps import AppConfig


class EmbeddedConfig(AppConfig):
    name = "attune_project.embedded"
    label = "embedded"
