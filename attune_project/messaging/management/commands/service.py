"""Run one of Attune's services in this process: `manage.py service executor`."""

import os
import socket
import sys
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from attune_project.messaging import pools, topology
from attune_project.service import SERVICES

# For glibc: what an output or a result of many megabytes took is given back to the system.
FLAT = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}


class Command(BaseCommand):
    help = "Run a service: web, beat, sensor, executor, worker or notifier."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", choices=SERVICES)
        parser.add_argument("--port", type=int, default=8080, help="the port of web")
        parser.add_argument("--bind", default=os.environ.get("ATTUNE_BIND", "127.0.0.1"))

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        os.environ["ATTUNE_SERVICE"] = name
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "attune_project.settings")
        command = command_of(name, options["port"], options["bind"])
        if name == "worker":
            os.environ.update(FLAT | os.environ)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *command])  # noqa: S606 (our own command)


def command_of(name: str, port: int, bind: str) -> list[str]:
    """Return the arguments of Python that run a service."""
    if name == "web":
        return [
            "-m", "uvicorn", "attune_project.asgi:application", "--host", bind, "--port", str(port),
            "--http", "attune_project.rest.protocol:Http", "--log-level", "warning",
            "--no-access-log", "--no-server-header", "--no-proxy-headers", "--timeout-graceful-shutdown", "5",
        ]  # fmt: skip
    if name == "beat":
        return [
            "-m", "celery", "--quiet", "-A", "attune_project", "beat", "--schedule", os.devnull,
            "--pidfile", "", "-l", "WARNING",
        ]  # fmt: skip
    node = f"{name}-{uuid.uuid4().hex[:12]}@{socket.gethostname()}"
    queues = [route.queue for route in topology.consumed_by(name, pools.mine() if name == "worker" else None)]
    return [
        "-m", "celery", "--quiet", "-A", "attune_project", "worker", "--pool", "solo", "--hostname", node,
        "--queues", ",".join(queues), "--without-gossip", "--without-mingle", "--without-heartbeat",
        "-l", "WARNING",
    ]  # fmt: skip
