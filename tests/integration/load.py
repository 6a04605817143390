"""A mixed load: instant, slow and unrepeatable actions at once, and what must come of it."""

import subprocess
from collections import Counter

from tests.integration.spine import Spine

RATES = {"it.ping": 20, "it.sleepy": 1, "it.once": 2}  # events per second


class Load:
    """Feeds a Spine for some seconds from processes of its own."""

    def __init__(self, spine: Spine, seconds: float) -> None:
        self._spine = spine
        self._before = {trigger: self._recorded(trigger) for trigger in RATES}
        self._feeds: dict[str, subprocess.Popen[bytes]] = {
            trigger: spine.feed(int(rate * seconds), rate=rate, trigger=trigger)
            for trigger, rate in RATES.items()
        }

    def _recorded(self, trigger: str) -> int:
        return int(self._spine.one("SELECT count(*) FROM event WHERE trigger_ref = %s", trigger))

    def goes_on(self) -> bool:
        return any(feed.poll() is None for feed in self._feeds.values())

    def accepted(self) -> dict[str, int]:
        """Wait for the end; return how many events were accepted, all of which are stored."""
        counts = {trigger: int(feed.communicate(timeout=600)[0]) for trigger, feed in self._feeds.items()}
        stored = {trigger: self._recorded(trigger) - self._before[trigger] for trigger in counts}
        assert stored == counts
        return counts


def all_settled(spine: Spine, timeout: float = 180) -> bool:
    return all(spine.settled(trigger, timeout) for trigger in RATES)


def messages_do_the_work(spine: Spine, count: int) -> bool:
    """Return whether some events completed without a poll's help."""
    completed, repairs = spine.statuses().get("completed", 0), spine.repairs()
    assert spine.record(count, batch=1) == count
    assert spine.settled()
    assert spine.statuses() == {"completed": completed + count}
    return spine.repairs() == repairs


def marks(spine: Spine) -> Counter[tuple[int, str]]:
    """Return how often each execution of `it.once` left its marks, as (execution, start or end)."""
    path = spine.folder / "artifacts" / "marks"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter((int(line.split()[0]), line.split()[1]) for line in lines)


def unrepeatable(spine: Spine) -> dict[int, str]:
    """Return the status of every execution of `it.once`."""
    return dict(spine.sql("SELECT id, status FROM execution WHERE trigger_ref = 'it.once'"))  # type: ignore[arg-type]
