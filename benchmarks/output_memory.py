"""Measure the memory of a worker while actions flood it with output.

    python -m benchmarks.output_memory

Needs what benchmarks.log_latency needs. One action writes 1 GB; then eight at once write 10 MiB each to both
streams; then one answers with 9 MiB of JSON. Prints JSON: the resident memory of the worker process before,
at its highest (`VmHWM`, begun anew for each), and after; and what the end of each cost.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.log_latency import execute, machine, make_action, wait_ended
from tests.integration.servers import free_port, fresh_database, fresh_vhost
from tests.integration.spine import Spine

SERVICES = ("notifier", "worker", "executor", "web")
MIB = 1024 * 1024
FLOOD = "head -c 1000000000 /dev/zero | tr '\\0' x"
BOTH = f"head -c {10 * MIB} /dev/zero | tr '\\0' x; head -c {10 * MIB} /dev/zero | tr '\\0' y >&2"
DATA = f"printf '\"'; head -c {9 * MIB} /dev/zero | tr '\\0' x; printf '\"'"


def main() -> None:
    with fresh_database() as database, fresh_vhost() as broker, tempfile.TemporaryDirectory() as folder:
        spine = Spine(database, broker, Path(folder), free_port(), ATTUNE_WORKER_SLOTS="8")
        spine.prepare()
        spine.start(*SERVICES)
        try:
            token = spine.token()
            make_action(spine, token, "it.flood", FLOOD)
            make_action(spine, token, "it.both", BOTH)
            make_action(spine, token, "it.data", DATA, output_format="json")
            make_action(spine, token, "it.small", "echo hello")
            found = {
                "eight_small": during(spine, token, ["it.small"] * 8),
                "one_gigabyte": during(spine, token, ["it.flood"]),
                "eight_of_20_mib": during(spine, token, ["it.both"] * 8),
                "eight_of_20_mib_again": during(spine, token, ["it.both"] * 8),
                "nine_mib_of_json": during(spine, token, ["it.data"]),
            }
            found["results_mib"] = sizes(spine)
        finally:
            spine.drop()
    print(json.dumps({**found, "machine": machine()}, indent=2))


def during(spine: Spine, token: str, refs: list[str]) -> dict[str, Any]:
    pid = spine.processes["worker"].pid
    before = memory(pid)["VmRSS"]
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # begins VmHWM anew
    began = time.monotonic()
    ids = [execute(spine, token, ref) for ref in refs]
    wait_ended(spine, ids, 300)
    took = time.monotonic() - began
    now = memory(pid)
    statuses = {status for (status,) in spine.sql("SELECT status FROM execution WHERE id = ANY(%s)", [ids])}
    return {
        "status": sorted(statuses),
        "seconds": round(took, 1),
        "rss_before_mib": before,
        "rss_highest_mib": now["VmHWM"],
        "rss_after_mib": now["VmRSS"],
    }


def memory(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines)
    return {name: round(int(values[name].split()[0]) / 1024, 1) for name in ("VmRSS", "VmHWM")}


def sizes(spine: Spine) -> dict[str, float]:
    rows = spine.sql(
        "SELECT action_ref, max(octet_length(result::text)) FROM execution WHERE action_ref LIKE 'it.%%'"
        " AND result IS NOT NULL GROUP BY 1"
    )
    return {str(ref): round(size / MIB, 2) for ref, size in rows}


if __name__ == "__main__":
    main()
