"""The scheduler class that `celery beat` runs: rules' timers first, then the operators' own entries.

Any number of beats may run; the one that holds the lead ticks. No failure ends it: without the
database it tries again with a capped pause, and the broker it never waits for (events are rings of the
publisher's thread, other tasks go out in a thread of their own).
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from django.db import connections, transaction
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from attune_project.messaging import steps
from sensors import periodic, timers
from sensors.lead import Lead
from sensors.recording import EventRefused

log = structlog.get_logger(__name__)

STEP = "timers"
LONGEST_SLEEP = 1.0
SHORTEST_SLEEP = 0.001
LONGEST_PAUSE = 5.0
# The lead is asked for again before its session counts as idle, however many timers are due.
BUDGET = 1.0
TOUCH_SECONDS = 2.0
BATCH = 100


class Post:
    """Sends tasks in a thread of its own: a broker that hangs must not stop the clock."""

    MOST_WAITING = 100

    def __init__(self, app: Any) -> None:
        self._app = app
        self._room = threading.BoundedSemaphore(self.MOST_WAITING)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="periodic")

    def send(self, entry: ModelEntry) -> None:
        if self._room.acquire(blocking=False):
            self._thread.submit(self._send, entry)
        else:
            log.error("periodic task dropped: the broker takes none", entry=entry.name, task=entry.task)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _send(self, entry: ModelEntry) -> None:
        try:
            periodic.send(self._app, entry.task, entry.args, entry.kwargs, dict(entry.options))
        except Exception as problem:  # whatever the transport raises, the next entry is to be tried
            log.error("periodic task not sent", entry=entry.name, task=entry.task, error=repr(problem))
        finally:
            self._room.release()


class AttuneScheduler(DatabaseScheduler):
    """Ticks while it leads."""

    # Read at each tick by Celery, which would connect to the broker and wait for it.
    producer = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.lead = Lead()
        self._leading = False
        self._pause = 0.0
        self._touched = 0.0
        self._seen_change: Any = None
        super().__init__(*args, **kwargs)
        self._post = Post(self.app)
        self.max_interval = LONGEST_SLEEP

    def setup_schedule(self) -> None:
        """Add no entries: what beat does by itself is in the timer table, and the rest is the operators'."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Do what is due, if this beat leads; return the seconds to sleep."""
        try:
            pause = self._lead_on() if self.lead.held() else self._follow()
        except Exception as problem:  # ending would leave nobody to look again
            return self._recover(problem)
        self._pause = 0.0
        return pause

    def _follow(self) -> float:
        self._leading = False
        return LONGEST_SLEEP

    def _lead_on(self) -> float:
        if not self._leading:
            self._read_anew()
            self._leading = True
        self._fire_timers()
        pause = super().tick()
        due = timers.seconds_until_next()
        wanted = min(float(pause), LONGEST_SLEEP if due is None else due, LONGEST_SLEEP)
        return max(SHORTEST_SLEEP, wanted)

    def _fire_timers(self) -> None:
        ends = time.monotonic() + BUDGET
        while timers.fire_due(limit=BATCH) == BATCH and time.monotonic() < ends:
            pass
        if time.monotonic() - self._touched > TOUCH_SECONDS:
            self._touched = time.monotonic()
            steps.touch(STEP)

    def _recover(self, problem: Exception) -> float:
        self._pause = min(LONGEST_PAUSE, self._pause * 2 or 0.25)
        log.error("tick failed", error=f"{type(problem).__name__}: {problem}".strip(), pause=self._pause)
        self._leading = False
        self.lead.release()  # the trouble may be this process's own: let another beat try
        connections.close_all()
        return self._pause

    def _read_anew(self) -> None:
        """Forget the schedule in memory: while another beat led, its entries ran and were noted there."""
        self._dirty.clear()
        self._heap = None
        self.old_schedulers = None
        self._initial_read = True
        self._seen_change = self.Changes.last_change()

    def schedule_changed(self) -> bool:
        """Return whether an entry was saved since the last look.

        The original misses the very first entry, and whatever is saved before its own first look.
        """
        before, self._seen_change = self._seen_change, self.Changes.last_change()
        return bool(before != self._seen_change)

    def apply_entry(self, entry: ModelEntry, producer: Any = None) -> None:
        """Run an entry that is due, once: whoever notes the run in its row is the one to do it."""
        self._dirty.discard(entry.name)
        if entry.task != periodic.EMIT_EVENT:
            if _note_run(entry):
                self._post.send(entry)
            return
        with transaction.atomic():
            if _note_run(entry):
                _emit(entry)

    def close(self) -> None:
        self._post.close()
        self.lead.release()
        super().close()


def _note_run(entry: ModelEntry) -> bool:
    """Note a run in the entry's row; return False when it has been noted, stopped or deleted before."""
    unchanged = PeriodicTask.objects.filter(
        pk=entry.model.pk, enabled=True, total_run_count=entry.total_run_count
    )
    changes = {"last_run_at": entry.model.last_run_at, "total_run_count": entry.model.total_run_count}
    return bool(unchanged.update(**changes))


def _emit(entry: ModelEntry) -> None:
    try:
        periodic.emit_event(*entry.args, **entry.kwargs)
    except (EventRefused, TypeError) as problem:  # TypeError: arguments that aren't those of emit_event
        log.error("periodic event refused", entry=entry.name, error=str(problem))
