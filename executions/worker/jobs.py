"""From a claimed execution to the job that a runner is given."""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings

from attune_project.identity.keys.storing import UnreadableKey
from attune_project.identity.tokens import Lent
from attune_project.language import schemas
from attune_project.language.redaction import secret_texts
from executions.environments.installing import BuildFailed, BuildStopped
from executions.lifecycle import Claimed, Ended, retrying
from executions.log_chunks import NOTHING_LEFT
from executions.runners import Control, Job, NotAWorker, Outcome, RunnerSettings, run, runtime_of
from executions.runners.environment import permitted
from executions.runners.job import base_python
from executions.runners.masking import Masker
from executions.runners.result import ERROR_LENGTH, STOPPED, bounded, failed
from executions.worker.environments import environment_of
from executions.worker.keys import keys_of
from executions.worker.leaving import leaving
from executions.worker.logs import LiveLog
from executions.worker.patience import patiently
from executions.worker.sandbox import sandbox
from executions.worker.tokens import lent_to, warnings

log = structlog.get_logger(__name__)
DEFAULT_TIMEOUT = 300.0
SHORTEST_SECRET = 6
PERMISSION_WARNINGS = "permission_warnings"


def _with_warnings(outcome: Outcome, job: Job) -> Outcome:
    """Say in the result which rights the run was to have and hadn't."""
    if not job.permission_warnings:
        return outcome
    return replace(outcome, result={**outcome.result, PERMISSION_WARNINGS: list(job.permission_warnings)})


def runner_settings() -> RunnerSettings:
    """Return what this worker host gives to every job."""
    for folder in (settings.ATTUNE_ARTIFACTS_DIR, settings.ATTUNE_RUNTIME_ENVS_DIR):
        folder.mkdir(parents=True, exist_ok=True)
    return RunnerSettings(
        http_allow=tuple(settings.ATTUNE_HTTP_ALLOW),
        http_connect=settings.ATTUNE_HTTP_CONNECT_SECONDS,
        http_read=settings.ATTUNE_HTTP_READ_SECONDS,
        api_url=settings.ATTUNE_API_URL,
        artifacts_dir=settings.ATTUNE_ARTIFACTS_DIR,
        result_limit=settings.ATTUNE_RESULT_LIMIT_MB * 1024 * 1024,
        runtime_envs_dir=settings.ATTUNE_RUNTIME_ENVS_DIR,
        python=settings.ATTUNE_PYTHON or base_python(),
        node=settings.ATTUNE_NODE,
        sandbox=sandbox(),
    )


def job_of(claimed: Claimed) -> Job:
    """Return the job of a claimed execution; its action must still exist.

    Raises UnreadableKey for a key of the action that can't be decrypted.
    """
    action = claimed.action or {}
    runtime = action.get("runtime_ref") or runtime_of(action.get("entrypoint", ""))
    limit = float(action.get("timeout_seconds") or DEFAULT_TIMEOUT)
    has_process = runtime != "core.builtin"
    lent = lent_to(claimed, limit) if has_process else Lent()
    given = keys_of(claimed)
    terms = _terms(json.dumps(action.get("param_schema")))
    return Job(
        execution_id=claimed.id,
        action_ref=claimed.action_ref,
        pack_ref=action.get("pack_ref", ""),
        runtime_ref=runtime,
        entrypoint=action.get("entrypoint", ""),
        parameters=claimed.config,
        parameter_delivery=action.get("parameter_delivery", "stdin"),
        parameter_format=action.get("parameter_format", "json"),
        output_format=action.get("output_format", "text"),
        timeout_seconds=limit,
        limits=action.get("limits") or {},
        env=permitted(
            {name: str(value) for name, value in claimed.env_vars.items()}, action.get("env_allow") or ()
        ),
        pack_dir=claimed.pack_dir,
        rule_ref=claimed.rule_ref,
        trigger_ref=claimed.trigger_ref,
        declared=terms.declared,
        secret_values=(
            *(_secrets_of(action["param_schema"], claimed.config) if terms.has_secrets else ()),
            *given.secrets,
            *([lent.token] if lent.token else ()),
        ),
        keys=given.values,
        api_token=lent.token,
        permission_warnings=warnings(claimed, lent) if has_process else (),
    )


@dataclass(frozen=True)
class Terms:
    """What a parameter schema says of every job: the names that it declares, and whether any is secret."""

    declared: frozenset[str] = frozenset()
    has_secrets: bool = False


@lru_cache(maxsize=256)
def _terms(schema_text: str) -> Terms:
    schema = json.loads(schema_text)
    if schemas.is_empty(schema):
        return Terms()
    return Terms(schemas.property_names(schema), bool(schemas.secret_names(schema)))


def _secrets_of(schema: Any, config: dict[str, Any]) -> tuple[str, ...]:
    return tuple(text for text in secret_texts(schema, config) if len(text) >= SHORTEST_SECRET)


def perform(claimed: Claimed, control: Control, host: RunnerSettings) -> Ended:
    """Run a claimed execution to its end; whatever goes wrong is in the answer."""
    live = LiveLog(claimed)
    control.listener, control.keeps_output = live.feed, True
    try:
        outcome = bounded(_outcome(claimed, control, host, live), host.result_limit)
    except NotAWorker:
        raise
    except Exception as problem:  # one that can't even be begun must not take its batch along
        log.exception("execution could not be begun", execution=claimed.id)
        reason = f"{claimed.action_ref} could not be begun: {type(problem).__name__}: {problem}"
        reason = Masker(live.secrets).text(reason)[:ERROR_LENGTH]
        return _ended(claimed, "failed", {"error": reason, "succeeded": False})
    ended = _ended(claimed, outcome.status, outcome.result)
    rest = live.close(control, outcome)
    return ended if rest is NOTHING_LEFT else replace(ended, rest=rest)


def _ended(claimed: Claimed, status: str, result: dict[str, Any]) -> Ended:
    """Judge whether the action wants another attempt; where that can't be judged, there is none."""
    try:
        again = retrying.wanted((claimed.action or {}).get("retry_on"), status, result, claimed.attempt)
    except retrying.RetryError as problem:
        again, result = False, {**result, "retry_error": f"retry_on: {problem}"}
    return Ended(claimed.id, claimed.token, status, result, again)


def _outcome(claimed: Claimed, control: Control, host: RunnerSettings, live: LiveLog) -> Outcome:
    if claimed.action is None:
        return failed(f"Action {claimed.action_ref} does not exist any more")
    if claimed.lacks is not None and claimed.action["runtime_ref"] != "core.builtin":
        # it went between two looks
        return failed(f"This worker's host has no copy of the pack {claimed.lacks}")
    try:
        with environment_of(claimed, control, host) as environment:
            job = patiently(lambda: job_of(claimed), control)
            if environment is not None:
                job = replace(job, environment=environment)
            live.secrets = job.secret_values
            with leaving(claimed, job, host) as left:
                live.also = left.told.feed if left else None
                outcome = _with_warnings(run(job, control, host), job)
                live.end(outcome)
                return left.keep(outcome, control) if left else outcome
    except (BuildFailed, UnreadableKey) as problem:
        return failed(str(problem))
    except BuildStopped:
        return Outcome("cancelled", failed(STOPPED[control.reason or "cancelled"]).result)
