"""Which of Attune's services this process is."""

import ctypes
import os
import sys

SERVICES = ("web", "beat", "sensor", "executor", "worker", "notifier")


def current_service() -> str:
    """Return the service of this process: one of SERVICES, or `shell` for a command or a test."""
    name = os.environ.get("ATTUNE_SERVICE", "")
    return name if name in SERVICES else "shell"


def keep_private() -> None:
    """Close this process's `/proc` entries to others of its user: its environment holds secrets.

    Actions that run as the same user could read them else. Root reads them all the same.
    """
    if sys.platform == "linux":
        pr_set_dumpable = 4
        ctypes.CDLL(None).prctl(pr_set_dumpable, 0, 0, 0, 0)
