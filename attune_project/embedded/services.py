"""Attune's own processes, as programs for the supervisor."""

import http.client
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from attune_project.embedded.errors import LauncherError
from attune_project.embedded.folder import REPOSITORY
from attune_project.embedded.programs import Program

# Consumers before publishers: what the first events ring is already listened to.
SERVICES = ("notifier", "worker", "executor", "sensor", "web", "beat")
MANAGE = str(REPOSITORY / "manage.py")


def manage(name: str, environment: Mapping[str, str], *arguments: str) -> Program:
    """Return a management command as a program that runs to its end."""
    return Program(name, [sys.executable, MANAGE, *arguments], environment, ready=lambda: True, order=2)


def service(name: str, environment: Mapping[str, str], ready_folder: Path, port: int) -> Program:
    """Return a service, ready when it consumes (its ready file) or, web, answers. Beat waits for nobody."""
    mark = ready_folder / name
    ready: dict[str, Callable[[], bool]] = {"web": lambda: answers(port), "beat": lambda: True}
    arguments = ["service", name, *(["--port", str(port)] if name == "web" else [])]
    return Program(
        name=name,
        argv=[sys.executable, MANAGE, *arguments],
        env={**environment, "ATTUNE_SERVICE": name, "ATTUNE_READY_FILE": str(mark)},
        ready=ready.get(name, mark.exists),
        order=2,
        before_start=_remover(mark),
        cwd=str(REPOSITORY),
    )


def bind_address() -> str:
    return os.environ.get("ATTUNE_BIND") or "127.0.0.1"


def local_address() -> str:
    """Return where this machine reaches the web service."""
    return "127.0.0.1" if bind_address() in ("", "0.0.0.0", "::") else bind_address()  # noqa: S104


def require_free(port: int) -> None:
    """Refuse a taken port now, in words, instead of in a traceback of the web service later."""
    family = socket.AF_INET6 if ":" in bind_address() else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind_address(), port))
        except OSError as error:
            raise LauncherError(
                f"can't listen on port {port} of {bind_address()}: {error.strerror}.\n"
                "Choose another one: ./attune up --port N"
            ) from None


def answers(port: int) -> bool:
    """Return whether the web service says that it is ready."""
    connection = http.client.HTTPConnection(local_address(), port, timeout=2)
    try:
        connection.request("GET", "/health/ready", headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _remover(mark: Path) -> Callable[[], None]:
    """Return a function that removes a ready file: a restarted process must show itself again."""
    return lambda: mark.unlink(missing_ok=True)
