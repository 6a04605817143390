"""A worker process that runs one script: `worker.py FOLDER SCRIPT namespaces|- SECONDS-OF-PERMIT`.

Writes why its control was stopped to FOLDER/told when the run is over.
"""

import math
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from executions.runners.confine import Confined
from executions.runners.job import Control
from executions.runners.process import run_process


def main(folder: str, script: str, namespaces: str, seconds: str) -> None:
    control = Control(until=time.monotonic() + float(seconds) if float(seconds) else math.inf)
    ended = run_process(
        ["/bin/bash", "-c", script],
        env={"PATH": os.defpath},
        cwd=Path(folder),
        stdin=b"",
        limit=600,
        control=control,
        kill_grace=0.3,
        confined=Confined(pid_namespace=namespaces == "namespaces"),
    )
    told = Path(folder, "told")
    told.with_suffix(".new").write_text(f"{ended.end} {control.reason} {ended.stdout.raw.decode()}")
    told.with_suffix(".new").rename(told)


if __name__ == "__main__":
    main(*sys.argv[1:])
