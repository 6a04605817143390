"""App configuration."""

from django.apps import AppConfig


class PacksConfig(AppConfig):
    name = "attune_project.packs"
    label = "packs"

    def ready(self) -> None:
        from . import items, pack_items  # noqa: PLC0415

        items.register(pack_items.PERMISSION_SETS)
        items.register(pack_items.RUNTIMES)
