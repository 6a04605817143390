"""Kill and freeze everybody of an execution's life in turn, under load, and account for every event.

    python -m tests.zoo.turns --rounds 200 --seed 1

Needs ATTUNE_TEST_DATABASE_URL, ATTUNE_TEST_BROKER_URL and ATTUNE_TEST_RABBITMQCTL (`.ci/services FILE`
writes them): it works in a database and a virtual host of its own, with leases of 3 s. Two workers (one
gives runs PID namespaces where it may, the other doesn't), two executors and a sensor run shell actions of
all kinds, nine for each event, while somebody is killed or frozen for longer than a lease: a worker, its
zygote, a guard, an action, an executor, the sensor. After each few rounds all must come to its end and the
books are closed: every event has its executions, each with one result that it may have. Prints JSON; ends
with 1 if anything is wrong.
"""

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path

from tests.integration.servers import free_port, fresh_database, fresh_vhost
from tests.integration.spine import Spine, until
from tests.zoo.holding import SETTINGS, broken_invariants, held_locks, journal, overlaps
from tests.zoo.judging import Attempt, History, Row, Torment, unprovoked, wrong
from tests.zoo.keeper import command_lines
from tests.zoo.kinds import KINDS, TRIGGER, write_pack
from tests.zoo.tormenting import SERVICES, SETTINGS_OF, Tormentor

RATE = 0.4  # events per second
SLOTS = 6
PATIENCE = 240.0  # s for what was recorded to come to its end
WATCH = """
CREATE TABLE rewritten (id bigint, line text);
CREATE FUNCTION note_rewritten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO rewritten VALUES (OLD.id, OLD.status || ' became ' || NEW.status);
    RETURN NEW;
END $$;
CREATE TRIGGER note_rewritten BEFORE UPDATE ON execution FOR EACH ROW
WHEN (OLD.finished_at IS NOT NULL
      AND (OLD.status, OLD.result, OLD.finished_at)
          IS DISTINCT FROM (NEW.status, NEW.result, NEW.finished_at))
EXECUTE FUNCTION note_rewritten();
"""
OWED = """
SELECT count(*) FROM event e WHERE e.trigger_ref = %s AND %s <> (
    SELECT count(*) FROM enforcement n JOIN execution x ON x.id = n.execution_id
    WHERE n.event_id = e.id AND x.settled_at IS NOT NULL)
"""
ROWS = """
SELECT x.id, x.action_ref, x.status, COALESCE(x.result, '{}'), (x.config ->> 'n')::int,
       COALESCE(array_agg(json_build_array(t.status, COALESCE(w.meta ->> 'pid', '0')::int,
           extract(epoch FROM t.started_at), extract(epoch FROM t.finished_at)) ORDER BY t.number)
           FILTER (WHERE t.id IS NOT NULL), '{}')
FROM execution x LEFT JOIN attempt t ON t.execution_id = x.id LEFT JOIN worker w ON w.id = t.worker_id
WHERE x.trigger_ref = %s AND x.id > %s GROUP BY x.id ORDER BY x.id
"""


@dataclass
class Books:
    """What a campaign did, and what came of it."""

    seed: int
    torments: dict[str, int] = field(default_factory=dict)
    events: int = 0
    executions: dict[str, int] = field(default_factory=dict)  # by status
    attempts: dict[str, int] = field(default_factory=dict)  # by status
    runs_begun: int = 0
    owed: str = ""  # what never came to its end
    rewritten: list[str] = field(default_factory=list)  # ends that changed
    overlaps: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unprovoked: list[str] = field(default_factory=list)  # a machine that is much too slow does it, too
    left: list[str] = field(default_factory=list)  # processes
    invariants: str = ""

    @property
    def missing(self) -> int:
        return self.events * len(KINDS) - sum(self.executions.values())

    @property
    def clean(self) -> bool:
        return not (
            self.owed or self.missing or self.rewritten or self.overlaps or self.wrong or self.left
            or self.invariants
        )  # fmt: skip


class Campaign:
    """Torments a Spine, and closes the books after each few rounds."""

    def __init__(self, spine: Spine, folder: Path, seed: int) -> None:
        self._spine = spine
        self._folder = folder
        self._tormentor = Tormentor(spine, seed)
        self._torments: list[Torment] = []
        self._judged = 0  # the last execution that was
        self.books = Books(seed)

    def run(self, rounds: int, at_once: int) -> Books:
        """Go on until there were enough rounds, or something is wrong."""
        while self.books.clean and len(self._torments) < rounds:
            with self._load():
                for _ in range(min(at_once, rounds - len(self._torments))):
                    self._torments.append(self._tormentor.turn())
            self._close_books()
        return self.books

    @contextmanager
    def _load(self) -> Iterator[None]:
        feed = self._spine.feed(1_000_000, rate=RATE, trigger=TRIGGER)
        before = self._events()
        assert until(lambda: self._events() > before, 120)
        try:
            yield
        finally:
            feed.terminate()
            feed.communicate()

    def _close_books(self) -> None:
        books, spine = self.books, self._spine
        if not until(lambda: self._owed() == 0, PATIENCE):
            books.owed = f"{self._owed()} of {self._events()} events have executions that never ended"
        until(lambda: not self._left(), 60)
        noted = journal(self._folder)
        history = History(
            self._torments,
            Counter(row_id for what, row_id, _, _ in noted if what == "begin"),
            {run for what, _, run, _ in noted if what == "end"},
        )
        rows = self._rows()
        books.torments = dict(Counter(map(str, self._torments)))
        books.events = self._events()
        books.executions = dict(Counter(books.executions) + Counter(row.status for row in rows))
        books.attempts = dict(Counter(books.attempts) + Counter(one for row in rows for one in row.tries))
        books.runs_begun = history.begun.total()
        books.rewritten = [" ".join(map(str, row)) for row in spine.sql("SELECT * FROM rewritten")]
        books.overlaps = overlaps(self._folder)
        books.wrong += wrong(rows, history)
        books.unprovoked += unprovoked(rows, self._torments)
        books.left = self._left()
        books.invariants = broken_invariants(spine)
        self._judged = max([self._judged, *(row.id for row in rows)])

    def _rows(self) -> list[Row]:
        return [
            Row(
                row_id,
                ref,
                status,
                result,
                n,
                tuple(Attempt(one[0], one[1], one[2], one[3] or 0) for one in tries),
            )
            for row_id, ref, status, result, n, tries in self._spine.sql(ROWS, [TRIGGER, self._judged])
        ]

    def _events(self) -> int:
        return int(self._spine.one("SELECT count(*) FROM event WHERE trigger_ref = %s", TRIGGER))

    def _owed(self) -> int:
        return int(self._spine.one(OWED, TRIGGER, len(KINDS)))

    def _left(self) -> list[str]:
        """Return what still lives and shouldn't: of runs, and zygotes whose worker was killed."""
        return [
            *(f"somebody of {row_id}" for row_id in held_locks(self._folder)),
            *(line for line in command_lines() if f"{self._folder}/" in line),
            *(f"zygote {pid}" for pid in sorted(self._tormentor.zygotes) if _is_zygote(pid)),
        ]


def _is_zygote(pid: int) -> bool:
    try:
        return b"executions.guard.zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def torment(folder: Path, rounds: int, seed: int, at_once: int = 10) -> Books:
    """Run a campaign with everything of its own in `folder`."""
    with fresh_database() as database, fresh_vhost() as broker:
        slots = {"ATTUNE_WORKER_SLOTS": str(SLOTS)}
        spine = Spine(database, broker, folder, free_port(), **SETTINGS, **slots)
        spine.prepare()
        spine.manage("load_pack", str(write_pack(folder)))
        spine.sql(WATCH)
        try:
            spine.start("notifier", "beat")
            for name in chain.from_iterable(SERVICES.values()):
                spine.launch(name, **SETTINGS_OF.get(name, {}))
            return Campaign(spine, folder, seed).run(rounds, at_once)
        finally:
            spine.drop()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200, help="kills and freezes")
    parser.add_argument("--at-once", type=int, default=10, help="rounds before the books are closed")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # its services end with it
    with tempfile.TemporaryDirectory(prefix="turns-") as folder:
        began = time.monotonic()
        books = torment(Path(folder), arguments.rounds, arguments.seed, arguments.at_once)
    report = {**asdict(books), "missing": books.missing, "seconds": round(time.monotonic() - began)}
    print(json.dumps(report, indent=2))
    return 0 if books.clean and not books.unprovoked else 1


if __name__ == "__main__":
    sys.exit(main())
