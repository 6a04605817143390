"""Run an execution once more: a new one that names its original."""

from collections.abc import Mapping
from typing import Any

from attune_project.identity.models import Identity
from attune_project.identity.rbac import require
from attune_project.language.redaction import unredacted
from attune_project.rest.errors import Conflict
from attune_project.rest.trace import current_trace_id
from executions.models import Action, Execution
from executions.requesting import Rerun, Wanted, request_executions
from executions.starting import require_start


def rerun(
    original: Execution, by: Identity, parameters: Mapping[str, Any] | None = None, reason: str | None = None
) -> int:
    """Make an execution like the original, with the same parameters or with those given; return its id.

    Given parameters replace all of the original's. Where a secret was shown as the marker, the marker
    stands for the value that it hid. Raises 409 when the action is gone, 403 when the caller may not run
    it, lacks a right that the run would have, or would send another's secrets elsewhere.
    """
    action = Action.objects.select_related("pack").filter(ref=original.action_ref).first()
    if action is None:
        raise Conflict(f"Action {original.action_ref} does not exist any more.")
    require_start(by, action, original.permission_set_refs)
    given = original.config if parameters is None else _given(original, by, parameters)
    wanted = Wanted(
        action=action,
        parameters=given,
        trace_id=current_trace_id(),
        rule_ref=original.rule_ref,
        trigger_ref=original.trigger_ref,
        executor_id=by.pk,
        env_vars=original.env_vars,
        permission_set_refs=original.permission_set_refs,
        worker_pool=original.worker_pool,
        worker_selector=original.worker_selector,
        priority=original.priority,
        rerun_of=Rerun(original.pk, reason),
    )
    [row_id] = request_executions([wanted])
    return row_id


def _given(original: Execution, by: Identity, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with the secrets that their markers stand for.

    Beside changed parameters another's secret could be sent to whom it was never meant for: only those
    who may read it anyway, and who asked for the original, may do that.
    """
    given = unredacted(parameters, original.config)
    if given not in (parameters, original.config) and original.executor_id != by.pk:
        require(by, "executions", "decrypt", original)
    return given
