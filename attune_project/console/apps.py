"""The console app: what the product knows of itself."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "attune_project.console"
    label = "console"

    def ready(self) -> None:
        from attune_project.console import (  # noqa: PLC0415 (each registers checks or ticks)
            alerting,  # noqa: F401
            broker_state,  # noqa: F401
            canary,  # noqa: F401
            checks_messages,  # noqa: F401
            checks_pools,  # noqa: F401
            checks_steps,  # noqa: F401
        )
        from attune_project.console.retention import sweeping  # noqa: F401, PLC0415
