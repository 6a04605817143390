"""Record events from a process of its own: `python -m tests.integration.feed TRIGGER COUNT RATE BATCH`.

Prints how many were accepted (committed). While the database is away it tries again, as a client would,
under the same dedup key.
"""

import os
import sys
import time
import uuid

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "attune_project.settings")
os.environ["ATTUNE_SERVICE"] = "web"
django.setup()

from django.db import DatabaseError, connections  # noqa: E402

from sensors.recording import NewEvent, Recorded, record_events  # noqa: E402


def main(trigger: str, count: int, rate: float, batch: int) -> int:
    run = uuid.uuid4().hex
    began = time.monotonic()
    accepted = 0
    for start in range(0, count, batch):
        if rate:
            time.sleep(max(0.0, began + start / rate - time.monotonic()))
        size = min(batch, count - start)
        events = [NewEvent(trigger, {"n": start + n}, dedup_key=f"{run}:{start + n}") for n in range(size)]
        accepted += sum(isinstance(one, Recorded) for one in patiently(events))
    return accepted


def patiently(events: list[NewEvent]) -> list[object]:
    for _ in range(100):
        try:
            return list(record_events(events))
        except DatabaseError:
            connections.close_all()
            time.sleep(0.2)
    return []


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
