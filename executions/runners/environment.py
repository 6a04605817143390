"""The environment of an action, built from nothing: contract section 8."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from executions.runners.job import Job, RunnerSettings

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Each of these would change what code runs, where it talks, or who it thinks it is.
_NEVER = re.compile(
    r"ATTUNE_.*|LD_.*|PYTHON.*|.*_PROXY|PATH|HOME|IFS|ENV|BASH_ENV|BASHOPTS|SHELLOPTS|NODE_OPTIONS",
    re.IGNORECASE,
)


def permitted(variables: Mapping[str, str], allowed: Iterable[str]) -> dict[str, str]:
    """Return those of a request's `env_vars` that the action's `env_allow` names and that may be set."""
    names = set(allowed)
    return {name: value for name, value in variables.items() if name in names and may_be_set(name)}


def may_be_set(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and not _NEVER.fullmatch(name)


def build(job: Job, settings: RunnerSettings, home: Path, parameter_file: Path | None) -> dict[str, str]:
    """Return everything that the action's process will find in its environment."""
    base = {
        "PATH": settings.path,
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "ATTUNE_EXEC_ID": str(job.execution_id),
        "ATTUNE_ACTION": job.action_ref,
        "ATTUNE_PACK_REF": job.pack_ref,
        "ATTUNE_API_URL": settings.api_url,
        "ATTUNE_PARAMETER_DELIVERY": job.parameter_delivery,
        "ATTUNE_PARAMETER_FORMAT": job.parameter_format,
    }
    extra = {name: value for name, value in job.env.items() if may_be_set(name)}
    return base | _when_they_apply(job, settings, parameter_file) | extra


def _when_they_apply(job: Job, settings: RunnerSettings, parameter_file: Path | None) -> dict[str, str]:
    values = {
        "ATTUNE_ARTIFACTS_DIR": settings.artifacts_dir,
        "ATTUNE_RUNTIME_ENVS_DIR": settings.runtime_envs_dir,
        "ATTUNE_PARAMETER_FILE": parameter_file,
        "ATTUNE_RULE": job.rule_ref,
        "ATTUNE_TRIGGER": job.trigger_ref,
        "ATTUNE_WORKFLOW_EXEC_ID": job.workflow_execution_id,
        "ATTUNE_API_TOKEN": job.api_token,
    }
    return {name: str(value) for name, value in values.items() if value is not None}
