"""YAML as JSON: no aliases (they multiply), no tags, no dates, and no more than is quick to read."""

from typing import Any

import yaml

from .budget import ExpressionError, size_of
from .documents import MAX_DEPTH, check_document

# libyaml's readers take about 1 s for 1 MiB, so this holds the limit of 100 ms.
MAX_LENGTH = 32 * 1024


class _PlainLoader(yaml.CSafeLoader):
    """Reads only what JSON has; a timestamp stays text."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


class _PlainDumper(yaml.CSafeDumper):
    """Writes what it is given each time, rather than anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def load(text: str) -> Any:
    """Read YAML that holds plain JSON values; raise ValueError for anything else."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"reads at most {MAX_LENGTH} characters of YAML")
    try:
        _check_shape(text)
        value = yaml.load(text, Loader=_PlainLoader)  # noqa: S506  # a safe loader's subclass
    except yaml.YAMLError:
        raise ExpressionError("malformed YAML") from None
    check_document(value)
    return value


def _check_shape(text: str) -> None:
    """Refuse aliases and deep nesting while reading: what comes after would cost more and more."""
    depth = 0
    for event in yaml.parse(text, Loader=_PlainLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ExpressionError("aliases are not supported")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ExpressionError(f"nested deeper than {MAX_DEPTH} levels")


def dump(value: Any) -> str:
    """Write block YAML, keys in their order."""
    if size_of(value) > MAX_LENGTH:
        raise ExpressionError(f"writes at most {MAX_LENGTH} characters of YAML")
    return str(yaml.dump(value, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True))
