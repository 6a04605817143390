"""The token that a run is given for the API."""

import structlog
from django.conf import settings

from attune_project.identity.runs import Run
from attune_project.identity.tokens import Lent, issue_execution
from executions.lifecycle import Claimed

log = structlog.get_logger(__name__)


def lent_to(claimed: Claimed, limit: float) -> Lent:
    """Lend a claimed attempt that may run `limit` seconds what it is to have; no token without any right.

    It has those of the execution's permission sets that who it runs for could still lend.
    """
    if claimed.executor_id is None or not claimed.permission_set_refs:
        return Lent()
    run = Run(claimed.id, claimed.attempt, claimed.action_ref, claimed.permission_set_refs)
    return issue_execution(claimed.executor_id, run, limit + settings.ATTUNE_EXECUTION_TOKEN_SPARE_SECONDS)


def warnings(claimed: Claimed, lent: Lent) -> tuple[str, ...]:
    """Say of each permission set that the run was to have and hasn't why that is; its calls will be 403."""
    why = (
        "who it runs for is gone, is frozen or lacks a grant in it"
        if claimed.executor_id is not None
        else "it runs for nobody who could lend it: its rule has no owner"
    )
    withheld = [ref for ref in claimed.permission_set_refs if ref not in lent.permission_set_refs]
    if withheld:
        log.warning("rights not lent", execution=claimed.id, permission_sets=withheld)
    return tuple(f"Permission denied: permissions:assign: {ref} was not lent, {why}" for ref in withheld)
