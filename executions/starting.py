"""Who may start an execution, and with which rights."""

from collections.abc import Sequence

from attune_project.identity.models import Identity
from attune_project.identity.rbac import require
from attune_project.identity.references import require_lendable
from executions.models import Action


def require_start(caller: Identity, action: Action, permission_set_refs: Sequence[str]) -> None:
    """Raise 403 unless the caller may run the action with these rights; 422 for a set that isn't there."""
    require(caller, "actions", "execute", action)
    require_rights(caller, action, permission_set_refs)


def require_rights(caller: Identity, action: Action | None, permission_set_refs: Sequence[str]) -> None:
    """Raise 403 unless the caller could lend the rights that runs of the action would have.

    Without any, the action's own come with it: a person who lacks them starts a run that is lent less, but
    a run can't have another one act with rights that it wasn't lent itself.
    """
    own = action.default_execution_permission_set_refs if action and caller.run else ()
    require_lendable(caller, permission_set_refs or own, "permission_set_refs")
