"""A pack's folder for tests of runtimes that run its files."""

import dataclasses
from pathlib import Path
from typing import Any

from executions.runners import Control, Job, Outcome, RunnerSettings, run
from tests.executions.runners.conftest import GRACE, JOB


class PackFolder:
    """Writes files into a pack and runs its actions."""

    def __init__(self, path: Path, runs: Path) -> None:
        self.path = path
        self.host = RunnerSettings(runs_dir=runs, kill_grace=GRACE)
        (path / "actions").mkdir(parents=True)

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def job(self, runtime: str, entrypoint: str, **changes: Any) -> Job:
        names = {"action_ref": "demo.try", "pack_ref": "demo", "runtime_ref": runtime}
        return dataclasses.replace(JOB, **names, entrypoint=entrypoint, pack_dir=self.path, **changes)

    def run(self, runtime: str, entrypoint: str, **changes: Any) -> Outcome:
        return run(self.job(runtime, entrypoint, **changes), Control(), self.host)
