"""From a claimed execution to the job that a runner is given."""

from typing import Any

import structlog
from django.conf import settings

from attune_project.language import schemas
from attune_project.language.redaction import secret_texts
from executions.lifecycle import Claimed, Ended, retrying
from executions.runners import Control, Job, NotAWorker, Outcome, RunnerSettings, run, runtime_of
from executions.runners.environment import permitted
from executions.runners.result import failed

log = structlog.get_logger(__name__)
DEFAULT_TIMEOUT = 300.0
SHORTEST_SECRET = 6


def runner_settings() -> RunnerSettings:
    """Return what this worker host gives to every job."""
    artifacts = settings.ATTUNE_DATA_DIR / "artifacts"
    artifacts.mkdir(parents=True, exist_ok=True)
    return RunnerSettings(
        http_allow=tuple(settings.ATTUNE_HTTP_ALLOW),
        api_url=settings.ATTUNE_API_URL,
        artifacts_dir=artifacts,
    )


def job_of(claimed: Claimed) -> Job:
    """Return the job of a claimed execution; its action must still exist."""
    action = claimed.action or {}
    return Job(
        execution_id=claimed.id,
        action_ref=claimed.action_ref,
        pack_ref=action.get("pack_ref", ""),
        runtime_ref=action.get("runtime_ref") or runtime_of(action.get("entrypoint", "")),
        entrypoint=action.get("entrypoint", ""),
        parameters=claimed.config,
        parameter_delivery=action.get("parameter_delivery", "stdin"),
        parameter_format=action.get("parameter_format", "json"),
        output_format=action.get("output_format", "text"),
        timeout_seconds=float(action.get("timeout_seconds") or DEFAULT_TIMEOUT),
        env=permitted(
            {name: str(value) for name, value in claimed.env_vars.items()}, action.get("env_allow") or ()
        ),
        pack_dir=claimed.pack_dir,
        rule_ref=claimed.rule_ref,
        trigger_ref=claimed.trigger_ref,
        secret_values=_secrets(action.get("param_schema"), claimed.config),
    )


def _secrets(schema: Any, config: dict[str, Any]) -> tuple[str, ...]:
    if schemas.is_empty(schema):
        return ()
    return tuple(text for text in secret_texts(schema, config) if len(text) >= SHORTEST_SECRET)


def perform(claimed: Claimed, control: Control, host: RunnerSettings) -> Ended:
    """Run a claimed execution to its end; whatever goes wrong is in the answer."""
    try:
        outcome = _outcome(claimed, control, host)
    except NotAWorker:
        raise
    except Exception as problem:  # one that can't even be begun must not take its batch along
        log.exception("execution could not be begun", execution=claimed.id)
        reason = f"{claimed.action_ref} could not be begun: {type(problem).__name__}: {problem}"
        return _ended(claimed, "failed", {"error": reason, "succeeded": False})
    return _ended(claimed, outcome.status, outcome.result)


def _ended(claimed: Claimed, status: str, result: dict[str, Any]) -> Ended:
    """Judge whether the action wants another attempt; where that can't be judged, there is none."""
    try:
        again = retrying.wanted((claimed.action or {}).get("retry_on"), status, result, claimed.attempt)
    except retrying.RetryError as problem:
        again, result = False, {**result, "retry_error": f"retry_on: {problem}"}
    return Ended(claimed.id, claimed.token, status, result, again)


def _outcome(claimed: Claimed, control: Control, host: RunnerSettings) -> Outcome:
    job = job_of(claimed)
    if claimed.action is None:
        return failed(f"Action {claimed.action_ref} does not exist any more", job)
    return run(job, control, host)
