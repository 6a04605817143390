"""Lets the animals out, all at once, and notes what became of each."""

import json
import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.integration.spine import Spine, until
from tests.zoo.animal import MODES, Animal, shell

BYSTANDER = shell("bystander", "sleep 0.2\necho fine")
GRACE = 20.0  # seconds within which a run must be over after its limit or its cancel, on a busy machine too
OF_THE_SANDBOX = range(63000, 64000)  # not those of other tests that run at the same time


@dataclass
class Visit:
    """One run of an animal, and its traces."""

    animal: Animal
    mode: str
    row_id: int
    status: str = ""
    result: dict[str, Any] | None = None
    log: str = ""
    seconds: float = 0.0  # from its start to its end, by the database
    survivors: tuple[str, ...] = ()

    @property
    def stdout(self) -> str:
        return str((self.result or {}).get("stdout", ""))


def write_pack(folder: Path, animals: Iterable[Animal]) -> Path:
    """Write a pack of these actions where any user can read it."""
    (folder / "actions").mkdir(parents=True)
    (folder / "pack.yaml").write_text(yaml.safe_dump({"ref": "zoo", "label": "Zoo", "version": "1.0.0"}))
    for animal in [*animals, BYSTANDER]:
        document = animal.document()
        (folder / "actions" / f"{animal.name}.yaml").write_text(yaml.safe_dump(document))
        (folder / "actions" / document["entry_point"]).write_text(animal.script)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    return folder


class Keeper:
    """Runs every animal in every mode that it is fit for, with bystanders among them."""

    def __init__(self, spine: Spine, pack: Path) -> None:
        self.spine = spine
        self.pack = pack
        self.visits: list[Visit] = []
        self.bystanders: list[int] = []
        self.cancelled: set[int] = set()
        self.pids: dict[str, int] = {}
        self.memory: dict[str, int] = {}
        self._token = spine.token()
        self._over = threading.Event()

    def let_out(self, animals: Iterable[Animal]) -> None:
        """Run them all to their ends, then note what each left. The first time bystanders go with them."""
        visits: list[Visit] = []
        watch = threading.Thread(target=self._send_bystanders)
        watch.start()
        try:
            # Those that are to be cancelled first: they must have started when the others crowd in.
            for animal in sorted(animals, key=lambda one: not one.cancel):
                for mode in animal.modes:
                    visits.append(Visit(animal, mode, self._execute(animal, mode)))
                    self.visits.append(visits[-1])
                if animal.cancel:
                    continue
                self._cancel_the_started()
            until(self._none_to_cancel, 60)
            if not until(self._all_ended, 170):
                raise AssertionError(f"never ended: {self._running()}")
        finally:
            self._over.set()
            watch.join()
        until(lambda: not self._pending(self.bystanders), 120)
        time.sleep(1.5)  # whoever is still there now was missed
        for visit in visits:
            self._note(visit)

    def memories(self) -> dict[str, int]:
        """Return the resident bytes of each worker."""
        return {name: memory_of(pid) for name, pid in self.pids.items()}

    def _execute(self, animal: Animal, mode: str) -> int:
        body = {
            "action_ref": f"zoo.{animal.name}",
            "parameters": animal.given(),
            "worker_pool": None if mode == MODES[0] else mode,
        }
        status, answer = self.spine.post("/api/v1/executions/execute", body, self._token)
        assert status == 201, answer
        return int(json.loads(answer)["data"]["id"])

    def _send_bystanders(self) -> None:
        while not self._over.wait(2):
            self.bystanders += [self._execute(BYSTANDER, mode) for mode in MODES]

    def _cancel_the_started(self) -> None:
        """Cancel those that are to be cancelled, each once it has run for a moment."""
        rows = self.spine.sql(
            "SELECT id FROM execution WHERE id = ANY(%s) AND status = 'running'"
            " AND started_at < now() - interval '1 s'",
            [self._to_cancel()],
        )
        for (row_id,) in rows:
            self.spine.post(f"/api/v1/executions/{row_id}/cancel", {}, self._token)
            self.cancelled.add(row_id)

    def _to_cancel(self) -> list[int]:
        return [one.row_id for one in self.visits if one.animal.cancel and one.row_id not in self.cancelled]

    def _none_to_cancel(self) -> bool:
        self._cancel_the_started()
        return not self._to_cancel()

    def _pending(self, ids: list[int]) -> list[int]:
        rows = self.spine.sql("SELECT id FROM execution WHERE id = ANY(%s) AND finished_at IS NULL", [ids])
        return [row[0] for row in rows]

    def _all_ended(self) -> bool:
        return not self._pending([visit.row_id for visit in self.visits])

    def _running(self) -> list[str]:
        pending = set(self._pending([visit.row_id for visit in self.visits]))
        return [f"{visit.mode}:{visit.animal.name}" for visit in self.visits if visit.row_id in pending]

    def _note(self, visit: Visit) -> None:
        row = self.spine.sql(
            "SELECT status, result, extract(epoch FROM finished_at - COALESCE(started_at, created))"
            " FROM execution WHERE id = %s",
            [visit.row_id],
        )[0]
        visit.status, visit.result, visit.seconds = row[0], row[1], float(row[2])
        pieces = self.spine.sql(
            "SELECT content FROM log_chunk WHERE execution_id = %s ORDER BY attempt, stream, start",
            [visit.row_id],
        )
        visit.log = b"".join(bytes(piece[0]) for piece in pieces).decode("utf-8", "replace")
        visit.survivors = tuple(survivors(str(visit.row_id)))


def survivors(row_id: str) -> list[str]:
    """Return the command lines of processes that carry a run's id in their name."""
    return [line for line in command_lines() if f"86400.{row_id}" in line.split()]


def remains(pack: Path) -> list[str]:
    """Return what still runs from the pack, or as a user of the sandbox."""
    return [line for line in command_lines() if str(pack) in line] + of_the_sandbox()


def command_lines() -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip())
    return lines


def of_the_sandbox() -> list[str]:
    """Return the processes that belong to a user of the sandbox."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if path.stat().st_uid in OF_THE_SANDBOX:
                found.append((path / "cmdline").read_bytes().decode("utf-8", "replace"))
    return found


def memory_of(pid: int) -> int:
    """Return the resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
