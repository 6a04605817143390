"""Commands beside `up`: they use the Attune that runs, or start the servers for as long as they need them."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attune_project.embedded.environment import child_environment, secrets_of
from attune_project.embedded.errors import LauncherError
from attune_project.embedded.folder import DataFolder
from attune_project.embedded.logs import Terminal
from attune_project.embedded.servers import ADDRESSES, given_addresses, running_servers
from attune_project.embedded.state import RunState, published
from attune_project.embedded.supervisor import Interrupted, Supervisor

Environment = dict[str, str]
# Makes arguments and environment of a command out of Attune's environment.
Command = Callable[[Environment], tuple[Sequence[str], Environment]]


def run_with_servers(purpose: str, command: Command, *, needs: Sequence[str] = ADDRESSES) -> int:
    """Run a command in the foreground with Attune's environment; return its exit code.

    `needs` names the servers that it can't do
    without; those that neither run nor are given are started, and stopped after it.
    """
    folder = DataFolder.from_environment()
    known = {**published(folder), **given_addresses()}
    if all(name in known for name in needs):
        _ensure_secrets(folder)
        argv, environment = command(child_environment(folder, known))
        os.execvpe(argv[0], list(argv), environment)
    with _temporary_servers(folder, purpose, broker="BROKER_URL" in needs) as (supervisor, addresses):
        return _attend(supervisor, *command(child_environment(folder, addresses)))


def run_with_throw_away_database(variable: str, argv: Sequence[str], environment: Environment) -> int:
    """Run a command with the address of a new database in `variable`; remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="attune-test-") as scratch:
        folder = DataFolder(Path(scratch).resolve())
        folder.open_to_server()
        with _temporary_servers(folder, "./attune test", broker=False, throw_away=True) as (
            supervisor,
            addresses,
        ):
            return _attend(supervisor, argv, {**environment, variable: addresses["DATABASE_URL"]})


def run_with_scratch_servers(purpose: str, prefix: str, argv: Sequence[str]) -> int:
    """Run a command with servers that promise what those of `up` do, on data that is removed afterwards.

    Their addresses are in the variables that begin with `prefix`; one that names a server already is kept.
    What DATABASE_URL and BROKER_URL name is somebody's data, and is left alone.
    """
    given = {name: os.environ.get(f"{prefix}{name}", "") for name in ADDRESSES}
    environment = {name: value for name, value in os.environ.items() if name not in ADDRESSES}
    if all(given.values()):
        os.execve(argv[0], list(argv), environment)
    os.environ.update(given)
    with tempfile.TemporaryDirectory(prefix="attune-scratch-", dir=_on_a_disk()) as scratch:
        folder = DataFolder(Path(scratch).resolve())
        folder.open_to_server()
        with _temporary_servers(folder, purpose, broker=True) as (supervisor, started):
            addresses = {f"{prefix}{name}": given[name] or started[name] for name in ADDRESSES}
            return _attend(supervisor, argv, {**environment, **addresses})


def _on_a_disk() -> str | None:
    """Return where data is durable: /tmp often is memory. None: wherever temporary files go."""
    usual = "/var/tmp"  # noqa: S108 (the folder made in it has a random name and is private)
    return usual if not os.environ.get("TMPDIR") and os.access(usual, os.W_OK) else None


def _ensure_secrets(folder: DataFolder) -> None:
    """Make the secrets of a data folder that has never been used: both servers were given."""
    if not folder.secrets_file.exists():
        with folder.lock("./attune"):
            secrets_of(folder)


@contextmanager
def _temporary_servers(
    folder: DataFolder, purpose: str, *, broker: bool, throw_away: bool = False
) -> Iterator[tuple[Supervisor, Environment]]:
    with folder.lock(purpose):
        state = RunState(folder)
        state.end_leftovers()
        terminal = Terminal(sys.stderr.fileno(), quiet=True)
        supervisor = Supervisor(terminal, state.note_children)
        supervisor.catch_signals()
        try:
            with running_servers(
                folder, supervisor, state, broker=broker, throw_away=throw_away
            ) as addresses:
                yield supervisor, addresses
        except LauncherError:
            terminal.show_kept()
            raise


def _attend(supervisor: Supervisor, argv: Sequence[str], environment: Environment) -> int:
    """Run a command in this terminal's foreground group, looking after the servers meanwhile.

    Ctrl-C reaches it by itself, and what it does then is its own affair (psql and a shell go on), so the
    launcher leaves SIGINT alone; the other signals are for us, and are passed on.
    """
    signal.signal(signal.SIGINT, lambda number, frame: None)
    process = subprocess.Popen(list(argv), env=environment)
    try:
        while process.poll() is None:
            supervisor.turn()
    except Interrupted:
        process.terminate()
        process.wait(timeout=5)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode
