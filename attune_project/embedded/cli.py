"""The words of `./attune`, once its packages are installed."""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence

from attune_project.embedded.environment import known_login, known_password
from attune_project.embedded.errors import LauncherError
from attune_project.embedded.folder import REPOSITORY, DataFolder
from attune_project.embedded.processes import wait_until
from attune_project.embedded.psql import psql_command
from attune_project.embedded.services import MANAGE
from attune_project.embedded.session import (
    run_with_scratch_servers,
    run_with_servers,
    run_with_throw_away_database,
)
from attune_project.embedded.state import published
from attune_project.embedded.up import up

TEST_DATABASES = ("ATTUNE_TEST_DATABASE_URL", "ATTUNE_TEST_DATABASE_URL_EMBEDDED")


def main(arguments: Sequence[str]) -> int:
    """Do what the first word says with the rest; return the exit code."""
    word, *rest = arguments
    try:
        return WORDS[word](rest)
    except LauncherError as error:
        print(f"attune: {error}", file=sys.stderr)
        return 1


def _up(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("attune up", description="Run everything in this terminal until Ctrl-C.")
    parser.add_argument(
        "--port", type=_port, default=os.environ.get("ATTUNE_PORT") or "8080", help="of the web service"
    )
    parser.add_argument("--no-demo", action="store_true", help="don't load the demo rule")
    options = parser.parse_args(arguments)
    return up(options.port, demo=not options.no_demo)


def _down(arguments: Sequence[str]) -> int:
    argparse.ArgumentParser("attune down", description="Stop the running `attune up`.").parse_args(arguments)
    folder = DataFolder.from_environment()
    holder = folder.holder()
    if holder is None:
        print("attune: nothing is running", file=sys.stderr)
        return 0
    if not holder.process.alive():
        raise LauncherError(
            f"{folder.lock_file} is held by a process that can't be told for certain: try again."
        )
    os.kill(holder.process.pid, signal.SIGTERM)
    if not wait_until(lambda: not holder.process.alive(), seconds=15):
        raise LauncherError(f"{holder} did not end within 15 s.")
    print("attune: stopped", file=sys.stderr)
    return 0


def _test(arguments: Sequence[str]) -> int:
    environment = {**os.environ, "ATTUNE_ENV": "test"}
    argv = [sys.executable, "-m", "pytest", *arguments]
    os.chdir(REPOSITORY)
    if any(os.environ.get(name) for name in TEST_DATABASES):
        os.execve(argv[0], argv, environment)
    # The embedded servers that tests start are always their own.
    for name in ("DATABASE_URL", "BROKER_URL"):
        os.environ.pop(name, None)
    return run_with_throw_away_database(TEST_DATABASES[1], argv, environment)


def _bench(arguments: Sequence[str]) -> int:
    argv = [sys.executable, "-m", "benchmarks", *arguments]
    if {"-h", "--help"} & set(arguments):
        os.execve(argv[0], argv, dict(os.environ))
    return run_with_scratch_servers("./attune bench", "ATTUNE_BENCH_", argv)


def _chaos(arguments: Sequence[str]) -> int:
    """It starts servers of its own, since it stops and wipes them."""
    os.chdir(REPOSITORY)
    argv = [sys.executable, "-m", "tests.chaos", *arguments]
    os.execve(argv[0], argv, dict(os.environ))


def _manage(arguments: Sequence[str]) -> int:
    purpose = f"./attune manage {' '.join(arguments[:1])}".strip()
    return run_with_servers(purpose, lambda environment: ([sys.executable, MANAGE, *arguments], environment))


def _token(arguments: Sequence[str]) -> int:
    argparse.ArgumentParser("attune token", description="Print an access token.").parse_args(arguments)
    return _manage(["issue_token"])


def _worker(arguments: Sequence[str]) -> int:
    return _manage(["worker", *arguments])


def _psql(arguments: Sequence[str]) -> int:
    return run_with_servers(
        "./attune psql", lambda known: psql_command(known, arguments), needs=["DATABASE_URL"]
    )


def _env(arguments: Sequence[str]) -> int:
    argparse.ArgumentParser("attune env", description="Print the addresses for a shell.").parse_args(
        arguments
    )
    folder = DataFolder.from_environment()
    values = published(folder)
    if not values:
        raise LauncherError(f"nothing is running on {folder.path}: start it with `./attune up`.")
    login = known_login(folder)
    values |= {"ATTUNE_ADMIN_LOGIN": login, "ATTUNE_ADMIN_PASSWORD": known_password(folder, login)}
    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} isn't a port: expected 1 to 65535")


WORDS = {
    "up": _up,
    "down": _down,
    "test": _test,
    "bench": _bench,
    "chaos": _chaos,
    "manage": _manage,
    "psql": _psql,
    "token": _token,
    "worker": _worker,
    "env": _env,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
