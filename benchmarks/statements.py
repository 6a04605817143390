"""Which statements the services send: `counted/sitecustomize.py` counts them in each process."""

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

HOOK = Path(__file__).parent / "counted"
FOLDER = "ATTUNE_BENCH_STATEMENTS"
EVERY = 0.5  # seconds between what each process writes down

Counted = dict[tuple[str, str], tuple[int, float]]  # (service, statement): how often, seconds of waiting


class Statements:
    """The folder into which each process writes what it has counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def environment(self) -> dict[str, str]:
        return {
            FOLDER: str(self.folder),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HOOK), os.environ.get("PYTHONPATH")])),
        }

    def wait_for_dump(self) -> None:
        """Wait until every process has written down what it did: statements here, messages by themselves."""
        time.sleep(2 + EVERY * 3)

    def counted(self) -> Counted:
        calls: Counter[tuple[str, str]] = Counter()
        seconds: Counter[tuple[str, str]] = Counter()
        for path in self.folder.glob("*.json"):
            told = json.loads(path.read_text())
            for text, (times, waited) in told["statements"].items():
                calls[told["service"], text] += times
                seconds[told["service"], text] += waited
        return {key: (calls[key], seconds[key]) for key in calls}

    def since(self, before: Counted, events: int, most: int = 25) -> list[dict[str, Any]]:
        """Return the statements since then by their cost, per event."""
        rows: list[dict[str, Any]] = []
        for (service, text), (times, waited) in self.counted().items():
            old_times, old_waited = before.get((service, text), (0, 0.0))
            if times > old_times:
                rows.append(
                    {
                        "service": service,
                        "statement": text,
                        "times": times - old_times,
                        "per_event": round((times - old_times) / events, 4),
                        "ms_per_event": round((waited - old_waited) * 1000 / events, 4),
                    }
                )
        return sorted(rows, key=lambda row: -row["ms_per_event"])[:most]
