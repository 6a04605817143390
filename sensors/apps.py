"""App configuration."""

from django.apps import AppConfig


class SensorsConfig(AppConfig):
    name = "sensors"

    def ready(self) -> None:
        from attune_project.packs import items  # noqa: PLC0415 (models are ready only now)
        from sensors import pack_items, periodic  # noqa: PLC0415

        items.register(pack_items.TRIGGERS)
        items.register(pack_items.SENSORS)
        periodic.connect()
