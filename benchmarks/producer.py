"""A process that records events through Attune's own door: `python -m benchmarks.producer`."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "attune_project.settings")
django.setup()

from benchmarks.feeding import serve  # noqa: E402
from sensors.recording import NewEvent, Recorded, record_events  # noqa: E402


def record(payloads: list[dict[str, Any]]) -> int:
    recorded = record_events([NewEvent("bench.alert", payload) for payload in payloads])
    return sum(isinstance(one, Recorded) for one in recorded)


if __name__ == "__main__":
    serve(record)
