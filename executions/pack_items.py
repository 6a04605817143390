"""How a pack's actions are loaded."""

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from attune_project.identity.models import Identity
from attune_project.packs import keys
from attune_project.packs.items import Item, Kind, store
from attune_project.packs.keys import ItemError, Key
from attune_project.packs.models import Pack, Runtime
from attune_project.packs.pack_items import named_permission_sets, runtime_named
from executions.lifecycle import retrying
from executions.models import Action
from executions.models.action import Delivery, OutputFormat, ParameterFormat
from executions.runners import BY_SUFFIX, SHELL, code, limits, offers, runtime_of
from executions.runners.builtin.runner import BuiltinRunner

BUILTIN = "core.builtin"
NATIVE = "core.native"


def _retry_on(path: str, value: Any) -> dict[str, Any]:
    keys.refuse(path, retrying.problems(value))
    return keys.mapping(path, value)


def _limits(path: str, value: Any) -> dict[str, Any]:
    keys.refuse(path, limits.problems(value))
    return keys.mapping(path, value)


def _requirements(path: str, value: Any) -> dict[str, Any]:
    keys.refuse(path, offers.problems(value))
    return keys.mapping(path, value)


KEYS = {
    "label": Key(keys.text, required=True),
    "description": Key(keys.text),
    "runner_type": Key(keys.text),
    "entry_point": Key(keys.text, column="entrypoint"),
    "workflow_file": Key(keys.text),
    "parameters": Key(keys.schema, column="param_schema"),
    "output": Key(keys.schema, column="out_schema"),
    "parameter_delivery": Key(keys.one_of(Delivery.values), default=Delivery.STDIN.value),
    "parameter_format": Key(keys.one_of(ParameterFormat.values), default=ParameterFormat.JSON.value),
    "output_format": Key(keys.one_of(OutputFormat.values), default=OutputFormat.TEXT.value),
    "timeout_seconds": Key(keys.whole(1)),
    "max_retries": Key(keys.whole(0), default=0),
    "retry_on": Key(_retry_on),
    "limits": Key(_limits, default=dict),
    "idempotent": Key(keys.flag, default=False),
    "lost_worker_retries": Key(keys.whole(0), default=3),
    "env_allow": Key(keys.texts, default=list),
    "runtime_version": Key(keys.text),
    "required_worker_runtimes": Key(_requirements, default=dict),
    "worker_pool": Key(keys.pool),
    "worker_selector": Key(keys.labels, default=dict),
    "worker_tolerations": Key(keys.sequence, default=list),
    "worker_affinity": Key(keys.mapping, default=dict),
    "default_execution_permission_set_refs": Key(keys.texts, default=list),
    "accesses_mcp": Key(keys.flag, default=False),
}


def load_action(item: Item) -> list[str]:
    row = Action.objects.filter(ref=item.ref).first() or Action()
    if row.pk is not None and row.is_adhoc:
        raise ItemError("ref", f"{row.ref} was made through the API; delete it there first")
    columns = item.columns
    _refuse_workflow(columns.pop("workflow_file"), columns["entrypoint"])
    runtime = _runtime(columns.pop("runner_type"), columns["entrypoint"], item.pack.ref)
    named_permission_sets(
        "default_execution_permission_set_refs", columns["default_execution_permission_set_refs"], item.by
    )
    version = columns.pop("runtime_version")
    if version is not None:
        columns["required_worker_runtimes"] = {
            **_of_version(runtime, version),
            **columns["required_worker_runtimes"],
        }
    remarks = _judge_entrypoint(runtime.ref, columns["entrypoint"], item.folder)
    store(row, {**columns, "runtime_id": runtime.pk, "runtime_ref": runtime.ref})
    return remarks


def _of_version(runtime: Runtime, version: str) -> dict[str, str]:
    """Return `runtime_version` as what it is short for."""
    wanted = {offers.name_of(runtime.ref): version}
    for problems in offers.problems(wanted).values():
        raise ItemError("runtime_version", problems[0])
    return wanted


def _refuse_workflow(workflow_file: str | None, entrypoint: str | None) -> None:
    if workflow_file is not None:
        raise ItemError("workflow_file", "workflows aren't built yet; use entry_point")
    if entrypoint is None:
        raise ItemError("entry_point", "is required")


def _runtime(runner_type: str | None, entrypoint: str, pack: str) -> Runtime:
    """Return the runtime that is named; else the file's extension decides, and shell takes the rest."""
    return runtime_named(runner_type or runtime_of(entrypoint), pack)


def _judge_entrypoint(runtime: str, entrypoint: str, folder: Path) -> list[str]:
    """Refuse what can never run; remark on a file that isn't there."""
    if runtime == BUILTIN:
        problem = BuiltinRunner().check(entrypoint, folder)
        if problem:
            raise ItemError("entry_point", problem)
        return []
    try:
        found = code.find(folder, entrypoint)
    except code.OutsidePack as error:
        raise ItemError("entry_point", str(error)) from None
    if found is None and (runtime != SHELL or _looks_like_a_file(entrypoint)):
        return [f"entry_point: there is no file actions/{entrypoint}"]
    if found is not None and runtime == NATIVE and not os.access(found, os.X_OK):
        return [f"entry_point: actions/{entrypoint} is not executable: chmod +x makes it so"]
    return []


def _looks_like_a_file(entrypoint: str) -> bool:
    """Tell a file that is missing from a script: a script of one word without a space is rare."""
    return PurePosixPath(entrypoint).suffix in BY_SUFFIX and not any(mark in entrypoint for mark in " \n;|&")


def _rows(pack: Pack) -> Iterable[Action]:
    return Action.objects.filter(pack=pack)


def _remove(row: Any, by: Identity | None) -> None:
    row.delete()


ACTIONS = Kind("actions", KEYS, load_action, _rows, _remove)
