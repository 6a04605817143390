"""The data folder of one Attune: what lies where, and the lock that makes its user the only one."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from attune_project.embedded.errors import LauncherError
from attune_project.embedded.processes import Identity, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class DataFolder:
    """Paths within the data folder (`ATTUNE_DATA_DIR`, default `.attune` beside the launcher)."""

    path: Path

    @classmethod
    def from_environment(cls) -> "DataFolder":
        return cls(Path(os.environ.get("ATTUNE_DATA_DIR") or REPOSITORY / ".attune").resolve())

    def make(self) -> None:
        try:
            if not self.path.is_dir():
                self.path.mkdir(parents=True)
                self.open_to_server()
        except OSError as error:
            raise LauncherError(
                f"can't make the data folder {self.path}: {error.strerror}.\n"
                "Name a folder that you may write to in ATTUNE_DATA_DIR."
            ) from None
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise LauncherError(
                f"the data folder {self.path} isn't writable for you.\n"
                "Run as the user who made it, or name another folder in ATTUNE_DATA_DIR."
            )

    def open_to_server(self) -> None:
        """Let the servers' user pass through root's folder (not list it); ours is for nobody else."""
        self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)

    @property
    def lock_file(self) -> Path:
        return self.path / "lock"

    @property
    def state_file(self) -> Path:
        return self.path / "run.json"

    @property
    def secrets_file(self) -> Path:
        return self.path / "secrets.json"

    @property
    def admin_file(self) -> Path:
        return self.path / "admin.json"

    def holder(self) -> "Holder | None":
        """Return who holds the lock now, or None."""
        try:
            handle = open(self.lock_file, "rb")  # noqa: SIM115 (closed below)
        except FileNotFoundError:
            return None
        except PermissionError:
            raise LauncherError(f"{self.lock_file} belongs to another user: run as that user.") from None
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return Holder.parse(handle.read())
        return None

    @contextmanager
    def lock(self, purpose: str) -> Iterator[None]:
        """Hold the folder, or raise with the pid of its holder. A dead holder holds nothing."""
        self.make()
        try:
            handle = open(os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600), "r+b")  # noqa: SIM115
        except PermissionError:
            raise LauncherError(f"{self.lock_file} belongs to another user: run as that user.") from None
        with handle:
            # Whoever only asks (`holder`) has a shared lock for an instant: ask again before giving up.
            if not wait_until(lambda: _try_lock(handle), seconds=0.5):
                raise LauncherError(f"{Holder.parse(handle.read())} is using {self.path}: end it first.")
            handle.truncate(0)
            handle.write(Holder(Identity.of(os.getpid()), purpose).line())
            handle.flush()
            yield


def _try_lock(handle: BinaryIO) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True)
class Holder:
    """The process that holds a data folder, and what it is doing there."""

    process: Identity
    purpose: str

    @classmethod
    def parse(cls, line: bytes) -> "Holder":
        try:
            found = json.loads(line)
            return cls(Identity(found["pid"], found["started"]), found["purpose"])
        except (ValueError, KeyError):  # caught between taking the lock and writing the line
            return cls(Identity(0, ""), "another process")

    def line(self) -> bytes:
        found = {"pid": self.process.pid, "started": self.process.started, "purpose": self.purpose}
        return json.dumps(found).encode()

    def __str__(self) -> str:
        return f"`{self.purpose}` (pid {self.process.pid})"


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file for its owner alone; a reader sees the old one or the new one, never half."""
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=path.name, delete=False
    ) as new:  # mode 0600
        json.dump(content, new, indent=2)
        new.write("\n")
        new.flush()
        os.fsync(new.fileno())
    os.replace(new.name, path)


def read_private(path: Path) -> dict[str, Any]:
    """Return a JSON file's content, or an empty dict when there is no such file."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except PermissionError:
        raise LauncherError(f"{path} belongs to another user: run as that user.") from None
    except ValueError:
        raise LauncherError(f"{path} isn't valid JSON: mend it, or restore it from a backup.") from None
    if not isinstance(content, dict):
        raise LauncherError(f"{path} should hold a JSON object.")
    return content
