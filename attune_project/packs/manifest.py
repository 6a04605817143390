"""pack.yaml: what a pack says of itself. A bad one loads nothing."""

from pathlib import Path
from typing import Any

from attune_project.language.schemas import errors, normalise

from . import keys
from .documents import Document, DocumentError, read
from .keys import ItemError, Key

NAME = "pack.yaml"
KEYS = {
    "ref": Key(keys.pack_ref, required=True),
    "label": Key(keys.text, required=True),
    "version": Key(keys.version, required=True),
    "description": Key(keys.text),
    "author": Key(keys.text),
    "email": Key(keys.text),
    "conf_schema": Key(keys.schema, default=dict),
    "config": Key(keys.mapping, default=dict),
    "meta": Key(keys.mapping, default=dict),
    "tags": Key(keys.texts, default=list),
    "runtime_deps": Key(keys.texts, default=list),
    "dependencies": Key(keys.texts, default=list),
    "worker_pools": Key(keys.pools),
    "system": Key(keys.flag, column="is_standard", default=False),
}


SAID = ("author", "email", "worker_pools")  # kept in the pack's `meta`


class PackError(ValueError):
    """A pack of which nothing can be loaded; `field` is the key of pack.yaml that is to be mended."""

    def __init__(self, field: str, reason: str, line: int | None = None) -> None:
        place = NAME if line is None else f"{NAME}:{line}"
        super().__init__(f"{place}: {field}: {reason}" if field else f"{place}: {reason}")
        self.field = field
        self.reason = reason


def read_manifest(folder: Path) -> tuple[Document, dict[str, Any]]:
    """Return pack.yaml and the columns of `pack` that it fills; raise PackError."""
    if not (folder / NAME).is_file():
        raise PackError("", f"there is no such file in {folder.name!r}; a pack begins with it")
    try:
        document = read(folder / NAME)
    except DocumentError as error:
        raise PackError("", error.reason, error.line) from None
    try:
        columns = keys.take(KEYS, document.values)
        keys.refuse("config", config_problems(columns["conf_schema"], columns["config"]))
    except ItemError as error:
        raise PackError(error.path, error.reason, document.line(error.path)) from None
    said = {name: value for name in SAID if (value := columns.pop(name)) is not None}
    return document, {**columns, "meta": {**said, **columns["meta"]}}


def config_problems(conf_schema: dict[str, Any], config: dict[str, Any]) -> dict[str, list[str]]:
    """Return which settings don't fit; one that is still to be made isn't missing yet."""
    schema = {name: value for name, value in normalise(conf_schema).items() if name != "required"}
    return errors(schema, config, templated_fits=True)
