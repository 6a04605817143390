"""An action that tells all the time that it runs, so that two runs of one execution at once can be seen."""

import json
from itertools import pairwise
from pathlib import Path

from tests.integration.spine import Spine

PACK = "ref: hosts\nlabel: Hosts\nversion: {version}\n"
ACTION = """\
ref: hosts.tell
label: Tells every few milliseconds that it runs; on host b for ever
runner_type: core.shell
entry_point: tell.sh
idempotent: true
lost_worker_retries: 100
"""
SCRIPT = """\
#!/bin/bash
run=$RANDOM$RANDOM
case "$ATTUNE_ARTIFACTS_DIR" in *host-b*) rounds=1000000 ;; *) rounds={rounds} ;; esac
for ((round = 0; round < rounds; round++)); do
    read -r up _ < /proc/uptime
    echo "$ATTUNE_EXEC_ID $run $up" >> {marks}
    sleep 0.02
done
"""


def write_pack(spine: Spine, folder: Path, version: str = "1.0.0", rounds: int = 10) -> None:
    """Write a pack with the action `hosts.tell`."""
    (folder / "actions").mkdir(parents=True, exist_ok=True)
    (folder / "pack.yaml").write_text(PACK.format(version=version))
    (folder / "actions" / "tell.yaml").write_text(ACTION)
    (folder / "actions" / "tell.sh").write_text(SCRIPT.format(rounds=rounds, marks=spine.folder / "marks"))


def execute(spine: Spine, token: str, **body: object) -> int:
    body = {"action_ref": "hosts.tell", "parameters": {}, **body}
    status, answer = spine.post("/api/v1/executions/execute", body, token)
    assert status == 201, answer
    return int(json.loads(answer)["data"]["id"])


def runs(spine: Spine, row_id: int) -> list[tuple[float, float]]:
    """Return when each run of an execution first and last told of itself, in order."""
    return [(min(ups), max(ups)) for ups in _told(spine).get(row_id, [])]


def overlaps(spine: Spine) -> list[int]:
    """Return the executions of which two runs told of themselves at the same time."""
    found = []
    for row_id, told in _told(spine).items():
        spans = [(min(ups), max(ups)) for ups in told]
        if any(begun <= ended for (_, ended), (begun, _) in pairwise(spans)):
            found.append(row_id)
    return found


def _told(spine: Spine) -> dict[int, list[list[float]]]:
    """Return the times of each run of each execution, the runs in order of their first."""
    path = spine.folder / "marks"
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    times: dict[int, dict[str, list[float]]] = {}
    for row_id, run, up in (line for line in lines if len(line) == 3):  # one may be just being written
        times.setdefault(int(row_id), {}).setdefault(run, []).append(float(up))
    return {row_id: sorted(runs.values(), key=min) for row_id, runs in times.items()}
