"""What this worker can run, as its claims say it."""

import json
import threading
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import connection

from attune_project.packs.places import folder_of
from executions.lifecycle import Claimant
from executions.runners import RUNNERS, RunnerSettings
from executions.runners.offers import meets, name_of, offered


class Offering:
    """The runtimes of this host, the requirements that it meets, the packs whose files it has.

    Found once, and looked at again every few seconds: requirements and packs come with packs that are
    loaded, copied or changed at any time. What it hasn't seen yet it doesn't claim.
    """

    def __init__(self, host: RunnerSettings) -> None:
        self.versions = offered(host)  # by the name of the runtime: {"python": "3.11.2"}
        self.runtimes = sorted(ref for ref in RUNNERS if name_of(ref) in self.versions)
        self.requirements: list[str] = []
        self.packs: dict[str, str] = {}
        self._lock = threading.Lock()

    def refresh(self) -> bool:
        """Look again; return whether anything is different."""
        with self._lock:
            before = (self.requirements, self.packs)
            self.requirements = [json.dumps(one) for one in _requirements() if meets(one, self.versions)]
            self.packs = {
                ref: version for ref, version, path in _packs() if folder_of(ref, version, path) is not None
            }
            return (self.requirements, self.packs) != before

    def capabilities(self) -> dict[str, Any]:
        """Return what the worker's row tells others of it."""
        return {
            "runtimes": self.runtimes,
            "versions": self.versions,
            "labels": settings.ATTUNE_WORKER_LABELS,
            "packs": self.packs,
        }

    def claimant(self, worker_id: int) -> Claimant:
        return Claimant(
            worker_id,
            settings.ATTUNE_WORKER_POOL or None,
            json.dumps(settings.ATTUNE_WORKER_LABELS),
            self.runtimes,
            self.requirements,
            [f"{ref} {version}" for ref, version in self.packs.items()],
        )


def _requirements() -> list[Mapping[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT required_worker_runtimes FROM action WHERE required_worker_runtimes <> '{}'"
        )
        return [json.loads(row[0]) for row in cursor.fetchall()]


def _packs() -> list[tuple[str, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ref, version, storage_path FROM pack WHERE storage_path IS NOT NULL ORDER BY id"
        )
        return [(ref, version, path) for ref, version, path in cursor.fetchall()]
