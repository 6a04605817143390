"""Asks health each second, as an operator's monitor does, and keeps what it said."""

import threading
import time
from dataclasses import dataclass, field

from tests.integration.spine import Spine

UNREACHABLE = "unreachable"


@dataclass
class Watch:
    """What was red, and when, on the monotonic clock."""

    spine: Spine
    looks: list[tuple[float, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(40)

    def _go(self) -> None:
        while not self._over.wait(1.0):
            self.looks.append((time.monotonic(), self.look()))

    def look(self) -> dict[str, str]:
        """Return the red checks and their reasons; one of the name UNREACHABLE when health doesn't answer."""
        try:
            found = self.spine.health()
        except (ValueError, OSError) as problem:
            return {UNREACHABLE: str(problem)}
        if found["status"] == UNREACHABLE:
            return {UNREACHABLE: "health did not answer"}
        red = {
            name: str(one.get("reason", "")) for name, one in found["checks"].items() if one["status"] != "ok"
        }
        if not red and found["status"] != "ok":
            return {"status": str(found["status"])}
        return red

    def red(self) -> dict[str, str]:
        return self.looks[-1][1] if self.looks else {}

    def named_after(self, began: float, expected: tuple[str, ...]) -> tuple[float, str] | None:
        """Return after how many seconds a red check that begins with one of these was seen, and its name.

        One that was red before says nothing about what began now.
        """
        before = next((red for at, red in reversed(self.looks) if at < began), {})
        for at, red in self.looks:
            named = sorted(name for name in red if name.startswith(expected) and name not in before)
            if at >= began and named:
                return at - began, named[0]
        return None
