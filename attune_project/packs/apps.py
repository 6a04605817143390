"""App configuration."""

from django.apps import AppConfig


class PacksConfig(AppConfig):
    name = "attune_project.packs"
    label = "packs"
