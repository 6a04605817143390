"""The embedded PostgreSQL: a real server from a wheel, on a socket that nobody else can reach."""

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql

from attune_project.embedded import processes
from attune_project.embedded.errors import LauncherError
from attune_project.embedded.placement import Placement, give
from attune_project.embedded.processes import Identity
from attune_project.embedded.programs import Program

OPTIONS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "log_checkpoints": "off",
    "timezone": "UTC",
}
# Only for data that is thrown away with its server.
THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Postgres:
    """A cluster in its place, its socket folder, and the passwords of its two roles."""

    placement: Placement
    sockets: Path
    superuser_password: str
    password: str
    throw_away: bool = False

    @property
    def url(self) -> str:
        return f"postgresql://attune:{quote(self.password)}@/attune?{urlencode({'host': str(self.sockets)})}"

    def program(self) -> Program:
        options = {**OPTIONS, **(THROW_AWAY if self.throw_away else {})}
        argv = [self.placement.binary("postgres"), "-D", str(self.placement.data), "-k", str(self.sockets)]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        return Program(
            name="postgres",
            argv=argv,
            env=ENVIRONMENT,
            ready=self.ready,
            order=0,
            before_start=self.end_orphan,
            account=self.placement.account,
            cwd="/",
            stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait for the last client
            patience=2.5,
        )

    def initialise(self) -> None:
        """Make the cluster if there is none. One that was cut short never gets the final name."""
        data = self.placement.data
        if not data.exists():
            self._initdb(data.with_name(f"{data.name}.new"))
            data.with_name(f"{data.name}.new").rename(data)
        made_by = (data / "PG_VERSION").read_text().strip()
        ours = self._major_version()
        if made_by != ours:
            raise LauncherError(
                f"{data} was made by PostgreSQL {made_by}, and this is {ours}.\n"
                "Dump it with the older release, move it away, and restore into a new one."
            )

    def end_orphan(self) -> None:
        """End a server of this cluster whose launcher was killed; leave any other process alone.

        `postmaster.pid` may be stale and its pid in use by something else (even ourselves in a container,
        where pids repeat), which PostgreSQL would take for a running server if the user is the same.
        """
        pid_file = self.placement.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        process = Identity.of(pid)
        if self._is_our_postmaster(pid):
            processes.end(process, signal.SIGINT, patience=10)
        elif process.alive():
            pid_file.unlink(missing_ok=True)

    def ready(self) -> bool:
        """Return whether the server answers; make our role and database the first time."""
        if not self._says_ready():
            return False
        try:
            with self._connect_as_superuser() as connection:
                self._ensure_role_and_database(connection)
        except psycopg.OperationalError:
            return False
        return True

    def _says_ready(self) -> bool:
        """Read what the server says of itself: asking too early makes it log a FATAL that alarms people."""
        try:
            return (self.placement.data / "postmaster.pid").read_text().rstrip().endswith("ready")
        except FileNotFoundError:
            return False

    def _connect_as_superuser(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.sockets),
            user="postgres",
            password=self.superuser_password,
            dbname="postgres",
            connect_timeout=2,
            autocommit=True,
        )

    def _ensure_role_and_database(self, connection: psycopg.Connection) -> None:
        """Idempotent, since a kill may fall between any two of these statements."""
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'attune'").rowcount:
            connection.execute("CREATE ROLE attune LOGIN CREATEDB")
        connection.execute(sql.SQL("ALTER ROLE attune PASSWORD {}").format(sql.Literal(self.password)))
        if not connection.execute("SELECT FROM pg_database WHERE datname = 'attune'").rowcount:
            connection.execute("CREATE DATABASE attune OWNER attune")

    def _initdb(self, new: Path) -> None:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        give(new, self.placement.account)
        with tempfile.NamedTemporaryFile("w", dir=self.sockets) as password:
            password.write(f"{self.superuser_password}\n")
            password.flush()
            give(Path(password.name), self.placement.account)
            arguments = [
                "-D",
                str(new),
                "-U",
                "postgres",
                "--auth=scram-sha-256",
                f"--pwfile={password.name}",
            ]
            arguments += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
            self._run_tool("initdb", *arguments)

    def _major_version(self) -> str:
        return self._run_tool("postgres", "--version").split()[-1].split(".")[0]

    def _run_tool(self, name: str, *arguments: str) -> str:
        process = processes.spawn(
            [self.placement.binary(name), *arguments],
            ENVIRONMENT,
            account=self.placement.account,
            cwd="/",
            stdout=subprocess.PIPE,
        )
        output = process.communicate()[0].decode(errors="replace")
        if process.returncode != 0:
            raise LauncherError(f"{name} failed:\n{output}")
        return output

    def _is_our_postmaster(self, pid: int) -> bool:
        """Prove by user, program and data folder. (Only the kernel's privileged may read another's cwd.)"""
        argv = processes.command_line(pid)
        if (
            len(argv) < 3
            or Path(argv[0]).name != "postgres"
            or processes.owner(pid) != self.placement.account.uid
        ):
            return False
        return argv[1] == "-D" and os.path.realpath(argv[2]) == os.path.realpath(self.placement.data)
