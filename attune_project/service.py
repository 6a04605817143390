"""Which of Attune's services this process is."""

import os

SERVICES = ("web", "beat", "sensor", "executor", "worker", "notifier")


def current_service() -> str:
    """Return the service of this process: one of SERVICES, or `shell` for a command or a test."""
    name = os.environ.get("ATTUNE_SERVICE", "")
    return name if name in SERVICES else "shell"
