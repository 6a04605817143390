"""What producers were promised, over all runs on a stage."""

import threading
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Journal:
    """What producers were promised. `accepted`: the ids of events by trigger; a 2xx answer named each."""

    accepted: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    conflicts: list[str] = field(default_factory=list)  # one key was answered with two ids
    sent: int = 0
    unanswered: int = 0  # requests that failed, each sent again
    cancelled: set[int] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, trigger: str, key: str, event: int) -> None:
        with self.lock:
            known = self.accepted[trigger].setdefault(key, event)
            if known != event:
                self.conflicts.append(f"{trigger} {key}: {known} and {event}")

    def total(self) -> int:
        return sum(len(keys) for keys in self.accepted.values())
