"""Measure how long a line takes from an action's write to a client of the log stream.

    python -m benchmarks.log_latency --runs 4 --lines 100 --idle 1000

Needs ATTUNE_TEST_DATABASE_URL, ATTUNE_TEST_BROKER_URL and ATTUNE_TEST_RABBITMQCTL (`.ci/services FILE`
writes them): it works in a database and a virtual host of its own, with one process of each service. Each
action prints the time every 50 ms; the client, on the same machine, compares it with its own. `--idle` opens
so many streams of executions beside them, and says what they cost web. Prints JSON.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from tests.integration.servers import free_port, fresh_database, fresh_vhost
from tests.integration.spine import Spine, until

SERVICES = ("notifier", "worker", "executor", "web")
SCRIPT = "for ((i = 0; i < {lines}; i++)); do echo $EPOCHREALTIME; sleep 0.05; done"


def main() -> None:
    arguments = parse()
    with fresh_database() as database, fresh_vhost() as broker, tempfile.TemporaryDirectory() as folder:
        spine = Spine(database, broker, Path(folder), free_port())
        spine.prepare()
        spine.start(*SERVICES)
        try:
            found = asyncio.run(measure(spine, arguments.runs, arguments.lines, arguments.idle))
        finally:
            spine.drop()
    print(json.dumps({**found, "machine": machine()}, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=4, help="actions that run at once")
    parser.add_argument("--lines", type=int, default=100, help="lines of each")
    parser.add_argument("--idle", type=int, default=0, help="streams of executions that are open beside them")
    return parser.parse_args()


async def measure(spine: Spine, runs: int, lines: int, idle: int) -> dict[str, Any]:
    token = spine.token()
    make_action(spine, token, "it.ticks", SCRIPT.format(lines=lines))
    before = web_state(spine)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{spine.port}",
        headers={"Authorization": f"Bearer {token}"},
        limits=httpx.Limits(max_connections=None),
        timeout=None,
    ) as client:
        opened = asyncio.Semaphore(0)
        waiting = [asyncio.create_task(hold(client, opened)) for _ in range(idle)]
        for _ in waiting:
            await opened.acquire()
        held = await idle_cost(spine) if idle else {}
        ids = [execute(spine, token, "it.ticks") for _ in range(runs)]
        latencies = [
            one for some in await asyncio.gather(*(follow(client, row) for row in ids)) for one in some
        ]
        told = await state_latency(spine, client, token)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return {
        "lines": len(latencies),
        "write_to_row": quantiles(row_ages(spine)),
        "write_to_client": quantiles(latencies),
        "commit_to_client": told,
        "idle_streams": {"open": idle, "web_before": before, "web_with_them": held},
    }


async def hold(client: httpx.AsyncClient, opened: asyncio.Semaphore) -> None:
    async with client.stream("GET", "/api/v1/executions/stream", params={"status": "abandoned"}) as response:
        assert response.status_code == 200
        opened.release()
        async for _ in response.aiter_raw():
            pass


async def idle_cost(spine: Spine) -> dict[str, Any]:
    """Say what web needs while nothing happens."""
    used, began = cpu_seconds(spine), time.monotonic()
    await asyncio.sleep(20)
    return {
        **web_state(spine),
        "cpu_percent": round(100 * (cpu_seconds(spine) - used) / (time.monotonic() - began), 1),
    }


async def follow(client: httpx.AsyncClient, execution_id: int) -> list[float]:
    """Return the age in seconds of each line when it came."""
    ages: list[float] = []
    path = f"/api/v1/executions/{execution_id}/logs/stdout/stream"
    async with client.stream("GET", path) as response:
        async for line in response.aiter_lines():
            if line == "event: end":
                break
            if line.startswith('data: "'):
                now = time.time()
                ages += [now - float(word) for word in json.loads(line[6:]).split()]
    return ages


def row_ages(spine: Spine) -> list[float]:
    """Return the age of each line when the statement that stored it began, by the database's clock."""
    rows = spine.sql(
        "SELECT extract(epoch FROM created)::float, convert_from(content, 'UTF8') FROM log_chunk"
    )
    return [stored - float(word) for stored, text in rows for word in text.split()]


async def state_latency(spine: Spine, client: httpx.AsyncClient, token: str) -> dict[str, float]:
    """Return how old changes of executions are when the stream tells them."""
    ages: list[float] = []
    async with client.stream("GET", "/api/v1/executions/stream") as response:
        lines = response.aiter_lines()
        await anext(lines)
        for _ in range(40):
            wanted = await asyncio.to_thread(execute, spine, token, "core.noop")
            async for line in lines:
                if line.startswith("data: "):
                    now, data = time.time(), json.loads(line[6:])
                    ages.append(now - moment(data["payload"]["updated"]))
                    if data["entity_id"] == wanted and data["payload"]["status"] == "completed":
                        break
    return quantiles(ages)


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def quantiles(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {
        "p50_ms": round(cuts[49] * 1000, 1),
        "p95_ms": round(cuts[94] * 1000, 1),
        "max_ms": round(max(seconds) * 1000, 1),
    }


def make_action(spine: Spine, token: str, ref: str, script: str, **values: Any) -> None:
    body = {"ref": ref, "pack_ref": "it", "label": ref, "entrypoint": script, "runtime_ref": "core.shell"}
    status, text = spine.post("/api/v1/actions", {**body, **values}, token)
    assert status == 201, text


def execute(spine: Spine, token: str, ref: str) -> int:
    status, text = spine.post("/api/v1/executions/execute", {"action_ref": ref}, token)
    assert status == 201, text
    return int(json.loads(text)["data"]["id"])


def web_state(spine: Spine) -> dict[str, int]:
    status = Path(f"/proc/{spine.processes['web'].pid}/status").read_text()
    values = dict(line.split(":", 1) for line in status.splitlines())
    asked = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
    )
    return {
        "rss_mib": int(values["VmRSS"].split()[0]) // 1024,
        "threads": int(values["Threads"]),
        "database_connections": int(spine.one(asked, "attune-web")),
    }


def cpu_seconds(spine: Spine) -> float:
    fields = Path(f"/proc/{spine.processes['web'].pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_ended(spine: Spine, ids: list[int], timeout: float) -> None:
    owed = "SELECT count(*) FROM execution WHERE id = ANY(%s) AND finished_at IS NULL"
    assert until(lambda: spine.one(owed, ids) == 0, timeout), "not ended in time"


def machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}


if __name__ == "__main__":
    main()
