"""The token that a run is given for the API."""

import structlog
from django.conf import settings

from attune_project.identity.runs import Run
from attune_project.identity.tokens import issue_execution
from executions.lifecycle import Claimed

log = structlog.get_logger(__name__)


def token_of(claimed: Claimed, limit: float) -> str | None:
    """Return the token of a claimed attempt that may run `limit` seconds; None when it has no rights.

    It has those of the execution's permission sets that who it runs for could still lend.
    """
    if claimed.executor_id is None or not claimed.permission_set_refs:
        return None
    run = Run(claimed.id, claimed.attempt, claimed.action_ref, claimed.permission_set_refs)
    token = issue_execution(claimed.executor_id, run, limit + settings.ATTUNE_EXECUTION_TOKEN_SPARE_SECONDS)
    if token is None:
        log.warning("no rights could be lent", execution=claimed.id, wanted=claimed.permission_set_refs)
    return token
