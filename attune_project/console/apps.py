"""App configuration."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "attune_project.console"
    label = "console"
