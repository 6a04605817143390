"""Servers that a campaign may stop, kill and wipe: a PostgreSQL cluster and a RabbitMQ node of its own.

Both listen on the loopback only, keep everything in one folder, and share nothing with a server that may
already run on the machine. Root runs neither: they get the accounts that the packages made.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from glob import glob
from pathlib import Path

import psycopg

from tests.integration.servers import free_port
from tests.integration.spine import until

NOT_THERE = "{what} was not found: install the package {package}; a campaign needs servers that it may kill"


class ServerError(RuntimeError):
    """A server isn't there or doesn't start; the text says what to do."""


def newest(pattern: str, what: str, package: str) -> Path:
    found = sorted(glob(pattern))
    if not found:
        raise ServerError(NOT_THERE.format(what=what, package=package))
    return Path(found[-1])


class Folder:
    """Where everything of a campaign is; removed at its end unless it is to be looked at."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="attune-chaos-"))
        self.path.chmod(0o755)

    def place(self, name: str, account: str | None) -> Path:
        path = self.path / name
        path.mkdir(mode=0o700)
        if account:
            shutil.chown(path, account, account)
        return path

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def account(name: str) -> str | None:
    """Return the account that a server gets, or None for that of the caller, who isn't root."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(name)
    except KeyError:
        raise ServerError(f"the account {name} isn't there: was its package installed?") from None
    return name


def run(argv: Sequence[str], who: str | None, env: Mapping[str, str], timeout: float = 120) -> str:
    """Run a command to its end as this account. Raises ServerError with what it said."""
    done = subprocess.run(
        as_account(argv, who), env=dict(env), capture_output=True, text=True, timeout=timeout, cwd="/",
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise ServerError(f"{' '.join(argv[-3:])}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def as_account(argv: Sequence[str], who: str | None) -> list[str]:
    own = ["setpriv", "--reuid", who, "--regid", who, "--init-groups", "--"] if who else []
    return [*own, *argv]


class Cluster:
    """A PostgreSQL that is stopped and started by its own means."""

    ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

    def __init__(self, folder: Folder) -> None:
        self._who = account("postgres")
        self._bin = newest("/usr/lib/postgresql/*/bin/postgres", "PostgreSQL", "postgresql").parent
        place = folder.place("postgres", self._who)
        self._data, self._log = place / "data", place / "log"
        self._port, self._password = free_port(), secrets.token_hex(16)
        (folder.path / "password").write_text(self._password)
        self._make(folder.path / "password")
        self.start()
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE attune")

    def _make(self, password: Path) -> None:
        self._run("initdb", "-D", str(self._data), "-U", "attune", "--auth=scram-sha-256", "--encoding=UTF8",
                  "--locale=C.UTF-8", "--no-sync", f"--pwfile={password}")  # fmt: skip
        password.unlink()

    def _run(self, program: str, *arguments: str) -> None:
        run([str(self._bin / program), *arguments], self._who, self.ENVIRONMENT)

    def address(self, database: str = "attune") -> str:
        return f"postgresql://attune:{self._password}@127.0.0.1:{self._port}/{database}"

    @property
    def url(self) -> str:
        return self.address()

    def start(self) -> None:
        """Start it; it recovers by itself. A killed process loses nothing that the kernel has: no fsync."""
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self._port} -c unix_socket_directories="
            " -c max_connections=200 -c fsync=off -c full_page_writes=off"
        )
        self._run(
            "pg_ctl", "-D", str(self._data), "-l", str(self._log), "-o", options, "-w", "-t", "60", "start"
        )

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: `immediate` is a crash for whoever is connected, `fast` is an orderly restart's."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "-t", "60", "stop")

    def runs(self) -> bool:
        try:
            self._run("pg_ctl", "-D", str(self._data), "status")
        except ServerError:
            return False
        return True

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


class Node:
    """A RabbitMQ that is stopped, wiped and told what to do by rabbitmqctl."""

    def __init__(self, folder: Folder) -> None:
        self._who = account("rabbitmq")
        self._sbin = newest(
            "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server", "RabbitMQ", "rabbitmq-server"
        ).parent
        self._place = folder.place("rabbitmq", self._who)
        self._port, self._distribution, self._epmd_port = free_port(), free_port(), free_port()
        self._password = secrets.token_hex(16)
        self._configure()
        self._epmd = self._launch("epmd", "-port", str(self._epmd_port))
        self._server = self._launch(str(self._sbin / "rabbitmq-server"))
        if not until(self.answers, 120, step=0.5):
            said = (self._place / "console.log").read_text(errors="replace")[-2000:]
            self.close()
            raise ServerError(f"RabbitMQ did not start: {said}")

    def answers(self) -> bool:
        try:
            self.control("await_startup", "--timeout", "20")
        except ServerError:
            return False
        return True

    def _configure(self) -> None:
        files = {
            "rabbitmq.conf": f"listeners.tcp.local = 127.0.0.1:{self._port}\ndefault_user = guest\n"
            f"default_pass = {self._password}\ndisk_free_limit.absolute = 50MB\n",
            "enabled_plugins": "[].\n",
            ".erlang.cookie": secrets.token_hex(16),
        }
        for name, text in files.items():
            path = self._place / name
            path.write_text(text)
            path.chmod(0o400 if name == ".erlang.cookie" else 0o600)
            if self._who:
                shutil.chown(path, self._who, self._who)

    def _environment(self) -> dict[str, str]:
        place = str(self._place)
        return {
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": place, "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"attune-chaos-{self._port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_CONFIG_FILE": f"{place}/rabbitmq.conf",
            "RABBITMQ_MNESIA_BASE": f"{place}/mnesia", "RABBITMQ_LOG_BASE": f"{place}/log",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{place}/enabled_plugins",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}"
            " +sbwt none +sbwtdcpu none +sbwtdio none",
        }  # fmt: skip

    def _launch(self, *argv: str) -> subprocess.Popen[bytes]:
        with (self._place / "console.log").open("ab") as log:
            return subprocess.Popen(
                as_account(argv, self._who), env=self._environment(), cwd="/", stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    @property
    def url(self) -> str:
        return f"amqp://guest:{self._password}@127.0.0.1:{self._port}//"

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl. Raises ServerError with what it said."""
        environment = {
            name: value for name, value in self._environment().items() if not name.endswith("_ERL_ARGS")
        }
        return run([str(self._sbin / "rabbitmqctl"), *arguments], self._who, environment, timeout=240)

    def close(self) -> None:
        for process in (self._server, self._epmd):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Servers:
    """Both, in one folder."""

    def __init__(self) -> None:
        self.folder = Folder()
        self.postgres = Cluster(self.folder)
        try:
            self.rabbitmq = Node(self.folder)
        except BaseException:
            self.postgres.stop()
            raise

    def close(self, *, keep: bool = False) -> None:
        if self.postgres.runs():
            self.postgres.stop()
        self.rabbitmq.close()
        if not keep:
            until(lambda: self.folder.remove() or not self.folder.path.exists(), 5)
