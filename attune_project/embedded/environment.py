"""The environment of Attune's own processes: secrets made once, addresses, the first administrator."""

import os
import secrets
from collections.abc import Mapping

from attune_project.embedded.errors import LauncherError
from attune_project.embedded.folder import DataFolder, read_private, write_private

SETTINGS_SECRETS = ("SECRET_KEY", "ATTUNE_JWT_SECRET", "ATTUNE_ENCRYPTION_KEY")
SERVER_SECRETS = ("postgres_superuser_password", "postgres_password")
ADMINISTRATOR = ("ATTUNE_ADMIN_LOGIN", "ATTUNE_ADMIN_PASSWORD")


def secrets_of(folder: DataFolder) -> dict[str, str]:
    """Return the data folder's secrets, made the first time. Call with its lock held.

    Never makes new ones for data that exists: they would open neither the database nor the keys in it.
    """
    found = read_private(folder.secrets_file)
    if not found:
        if (folder.path / "postgres").exists() or (folder.path / "postgres.location.json").exists():
            raise LauncherError(
                f"{folder.secrets_file} is missing, and the database beside it can't be opened without it.\n"
                "Restore it from a backup."
            )
        found = {name: secrets.token_urlsafe(48) for name in (*SETTINGS_SECRETS, *SERVER_SECRETS)}
        write_private(folder.secrets_file, found)
    return {name: str(found[name]) for name in (*SETTINGS_SECRETS, *SERVER_SECRETS)}


def child_environment(folder: DataFolder, addresses: Mapping[str, str]) -> dict[str, str]:
    """Return what Attune's processes see: what the launcher knows, then this process's own environment, then
    the addresses. The administrator's password is for the command that needs it alone.
    """
    stored = read_private(folder.secrets_file)
    known = {name: str(stored[name]) for name in SETTINGS_SECRETS if name in stored}
    known |= {"ATTUNE_ENV": "development", "PYTHONUNBUFFERED": "1"}
    given = {name: value for name, value in os.environ.items() if value and name not in ADMINISTRATOR}
    return {**known, **given, **addresses, "ATTUNE_DATA_DIR": str(folder.path)}


def first_administrator(folder: DataFolder) -> dict[str, str]:
    """Return the login and password to make the first administrator with: given, kept, or new.

    New ones are kept before they are used, so that a kill in between loses no password.
    """
    kept = read_private(folder.admin_file)
    chosen = {
        "login": os.environ.get("ATTUNE_ADMIN_LOGIN") or str(kept.get("login") or "admin"),
        "password": os.environ.get("ATTUNE_ADMIN_PASSWORD")
        or str(kept.get("password") or secrets.token_urlsafe(12)),
    }
    if not kept:
        write_private(folder.admin_file, chosen)
    return chosen


def keep_administrator(folder: DataFolder, chosen: Mapping[str, str]) -> None:
    """Remember an administrator that was made by other values than the kept ones."""
    if read_private(folder.admin_file) != chosen:
        write_private(folder.admin_file, dict(chosen))


def known_password(folder: DataFolder, login: str) -> str:
    """Return the kept password if it belongs to this login, else an empty text."""
    kept = read_private(folder.admin_file)
    return str(kept.get("password", "")) if kept.get("login") == login else ""


def known_login(folder: DataFolder) -> str:
    return str(read_private(folder.admin_file).get("login", ""))
