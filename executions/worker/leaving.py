"""What a run leaves beside its result: files in a folder of its own, and what it tells as it goes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import structlog

from attune_project.faults import fault
from executions.artifacts.collecting import collect
from executions.artifacts.folder import RunFolder
from executions.artifacts.storing import Run
from executions.artifacts.told import Told
from executions.lifecycle import Claimed
from executions.runners import Control, Job, Outcome, RunnerSettings
from executions.runners.masking import Masker

log = structlog.get_logger(__name__)
WARNINGS = "artifact_warnings"


class Leaving:
    """What one run leaves. `told.feed` takes its output, masked, as it comes."""

    def __init__(self, claimed: Claimed, job: Job, folder: RunFolder | None) -> None:
        self.told = Told(claimed.id, claimed.token)
        self._run = Run(claimed.id, claimed.token)
        self._job = job
        self._folder = folder

    def keep(self, outcome: Outcome, control: Control) -> Outcome:
        """Store what was left, before the result; what could not be is said in the result.

        Nothing is the run's own after a lost lease or at a shutdown. From here on no stop is heard: the
        run is over, and its end must not be dropped because this took long.
        """
        if control.reason in ("lost", "shutdown"):
            return outcome
        control.over()
        fault("artifact.before_store")
        warnings = self.told.close()
        if self._folder is None:
            warnings.append("there was no folder for files")
        else:
            warnings += collect(self._run, self._folder, Masker(self._job.secret_values).text)
        fault("artifact.after_store")
        return replace(outcome, result={**outcome.result, WARNINGS: warnings}) if warnings else outcome


@contextmanager
def leaving(claimed: Claimed, job: Job, host: RunnerSettings) -> Iterator[Leaving | None]:
    """Make a run's folder and remove it after; None for builtins, and on hosts that have none."""
    if job.runtime_ref == "core.builtin" or host.artifacts_dir is None:
        yield None
        return
    folder: RunFolder | None = None
    try:
        folder = RunFolder(host.artifacts_dir, claimed.id)
    except OSError as problem:
        log.error("no folder for artifacts", execution=claimed.id, error=str(problem))
    try:
        yield Leaving(claimed, job, folder)
    finally:
        if folder is not None:
            folder.discard()
