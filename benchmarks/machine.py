"""What a run was measured on."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from kombu import Connection

PACKAGES = ("Django", "celery", "kombu", "psycopg", "djangorestframework", "uvicorn")
SETTINGS: tuple[LiteralString, ...] = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def machine(database: str) -> dict[str, Any]:
    with psycopg.connect(database) as connection:
        settings = {name: _one(connection, "SHOW " + name) for name in SETTINGS}
    return {
        "cores": cores(),
        "cpu": _of_proc("cpuinfo", r"^model name\s*: (.+)$"),
        "memory_mib": int(_of_proc("meminfo", r"^MemTotal:\s+(\d+)") or 0) // 1024,
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
        "postgres": settings,
    }


def versions(database: str, broker: str) -> dict[str, str]:
    with psycopg.connect(database) as connection:
        postgres = _one(connection, "SHOW server_version")
    return {
        "attune": _own_version(),
        "python": platform.python_version(),
        "postgres": postgres,
        **broker_version(broker),
        **{name.lower(): version(name) for name in PACKAGES},
    }


def broker_version(url: str) -> dict[str, str]:
    with Connection(url, connect_timeout=5) as connection:
        connection.connect()
        channel: Any = connection.channel()
        if url.startswith("redis"):
            told = channel.client.info("server")
            return {"valkey": told.get("valkey_version", told["redis_version"])}
        told = channel.connection.server_properties
        return {str(told["product"]).lower(): str(told["version"])}


def _own_version() -> str:
    """Return VERSION of the settings, which can't be imported without an environment."""
    text = (Path(__file__).resolve().parents[1] / "attune_project" / "settings.py").read_text()
    return str(re.findall(r'^VERSION = "(.+)"$', text, re.MULTILINE)[0])


def _one(connection: psycopg.Connection, statement: LiteralString) -> str:
    (value,) = connection.execute(statement).fetchall()[0]
    return str(value)


def _of_proc(name: str, pattern: str) -> str | None:
    path = Path("/proc") / name
    found = re.search(pattern, path.read_text(), re.MULTILINE) if path.exists() else None
    return found[1] if found else None
