"""Which columns of each resource the constraints of grants compare."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Columns:
    """Paths from a row (`pack__owner_id`); None: there is nothing to compare, so a constraint on it fails.

    `ref` is the ref that `refs` names. `pack` is the ref of the pack; where a row only has the ref of what it
    is about (`core.echo`), `pack_of` names that column. `owners` are tried in turn; the first that is set
    counts. `execution` is the id of the execution that the row is, or belongs to. Rows whose `visibility` is
    public are read by whoever may read any row of the resource, whoever owns them.
    """

    ref: str | None = None
    pack: str | None = None
    pack_of: str | None = None
    owners: tuple[str, ...] = ()
    standard: str | None = None
    owner_type: str | None = None
    owner_ref: str | None = None
    encrypted: str | None = None
    execution: str | None = None
    visibility: str | None = None
    shows_public: bool = False


IN_PACK = Columns(ref="ref", pack="pack_ref", owners=("pack__owner_id",), standard="pack__is_standard")

COLUMNS: dict[str, Columns] = {
    "packs": Columns(ref="ref", pack="ref", owners=("owner_id",), standard="is_standard"),
    "actions": IN_PACK,
    "workflows": IN_PACK,
    "queues": IN_PACK,
    "triggers": IN_PACK,
    "sensors": IN_PACK,
    "runtimes": IN_PACK,
    "policies": IN_PACK,
    "rules": Columns(
        ref="ref",
        pack="pack_ref",
        owners=("owner_identity_id", "pack__owner_id"),
        standard="pack__is_standard",
    ),
    "executions": Columns(ref="action_ref", pack_of="action_ref", owners=("executor_id",), execution="id"),
    "events": Columns(ref="trigger_ref", pack_of="trigger_ref"),
    "enforcements": Columns(ref="rule_ref", pack_of="rule_ref"),
    "keys": Columns(
        ref="ref",
        pack="owner_pack_ref",
        owners=(
            "owner_identity_id",
            "owner_pack__owner_id",
            "owner_action__pack__owner_id",
            "owner_sensor__pack__owner_id",
        ),
        owner_type="owner_type",
        owner_ref="owner",
        encrypted="encrypted",
    ),
    "artifacts": Columns(
        ref="ref",
        pack="pack_ref",
        owners=("owner_identity_id",),
        owner_type="scope",
        execution="execution_id",
        visibility="visibility",
    ),
    "permissions": Columns(ref="ref", pack="pack_ref"),
}
NOTHING = Columns()


def columns_of(resource: str, action: str) -> Columns:
    """Return the columns that grants of an action on a resource are judged by."""
    columns = COLUMNS.get(resource, NOTHING)
    return replace(columns, shows_public=True) if columns.visibility and action == "read" else columns
