"""What an item's file may say: a table of keys, each with its kind. Pure: no database, no Django."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from attune_project.language.schemas import check_schema
from attune_project.messaging.topology import POOL_NAME

PACK_REF = re.compile(r"[a-z][a-z0-9_-]+")
ITEM_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]*")
LONGEST_REF = 255
LARGEST_WHOLE = 2**31 - 1
# Semantic versioning 2.0, as semver.org gives it.
SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


class ItemError(ValueError):
    """Why an item can't be loaded; `path` names the key (`conditions[1].operator`, "" is the file itself)."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


Reader = Callable[[str, Any], Any]


@dataclass(frozen=True)
class Key:
    """One key of a file: how it is read, and which column of the row it fills (its own name, if None)."""

    read: Reader
    column: str | None = None
    default: Any = None
    required: bool = False


Keys = Mapping[str, Key]


def take(keys: Keys, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every column; absent and null are the default. Raise ItemError."""
    return {key.column or name: _taken(name, key, values.get(name)) for name, key in keys.items()}


def unknown(keys: Keys, values: Mapping[str, Any]) -> list[str]:
    return [name for name in values if name not in keys]


def _taken(name: str, key: Key, value: Any) -> Any:
    if value is None:
        if key.required:
            raise ItemError(name, "is required")
        return key.default() if callable(key.default) else key.default
    return key.read(name, value)


def text(path: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ItemError(path, "expected text; put quotes around what looks like a number or a map")
    return value


def flag(path: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ItemError(path, "expected true or false")
    return value


def whole(minimum: int) -> Reader:
    def read(path: str, value: Any) -> int:
        fits = isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= LARGEST_WHOLE
        if not fits:
            raise ItemError(path, f"expected a whole number from {minimum} to {LARGEST_WHOLE}")
        return int(value)

    return read


def one_of(choices: Iterable[str]) -> Reader:
    members = list(choices)

    def read(path: str, value: Any) -> str:
        if value not in members:
            raise ItemError(path, f"expected one of {', '.join(members)}")
        return str(value)

    return read


def mapping(path: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ItemError(path, "expected a map")
    return value


def labels(path: str, value: Any) -> dict[str, str]:
    found = mapping(path, value)
    refuse(path, label_problems(found))
    return found


def label_problems(selector: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with the labels that a worker must have; one that is no text is nobody's."""
    return {name: ["Expected text."] for name, value in selector.items() if not isinstance(value, str)}


def sequence(path: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ItemError(path, "expected a list")
    return value


def texts(path: str, value: Any) -> list[str]:
    return [text(f"{path}[{index}]", member) for index, member in enumerate(sequence(path, value))]


def anything(path: str, value: Any) -> Any:
    return value


def schema(path: str, value: Any) -> dict[str, Any]:
    refuse(path, check_schema(value))
    return mapping(path, value)


def pack_ref(path: str, value: Any) -> str:
    ref = text(path, value)
    if not PACK_REF.fullmatch(ref) or len(ref) > LONGEST_REF:
        raise ItemError(
            path, "expected lower-case letters, digits, _ and -, beginning with a letter, such as my_pack"
        )
    return ref


def version(path: str, value: Any) -> str:
    if not isinstance(value, str) or not SEMVER.fullmatch(value):
        raise ItemError(path, 'expected semantic versioning in quotes, such as "1.0.0"')
    return value


def pool(path: str, value: Any) -> str:
    name = text(path, value)
    if not POOL_NAME.fullmatch(name):
        raise ItemError(path, "expected at most 64 letters, digits, _ and -")
    return name


def pools(path: str, value: Any) -> list[str]:
    return [pool(f"{path}[{index}]", member) for index, member in enumerate(sequence(path, value))]


def refuse(path: str, problems: Mapping[str, list[str]]) -> None:
    """Raise the first of some problems by path, if there is one."""
    for inner, reasons in problems.items():
        joined = f"{path}.{inner}" if path and inner and not inner.startswith("[") else f"{path}{inner}"
        raise ItemError(joined, reasons[0])


def qualified(ref: str, pack: str) -> str:
    """Return a ref with its pack: one without a dot belongs to the pack that names it."""
    return ref if "." in ref else f"{pack}.{ref}"


def own_ref(path: str, value: Any, pack: str) -> str:
    """Return the ref of an item of this pack."""
    ref = qualified(text(path, value), pack)
    owner, _, name = ref.partition(".")
    if owner != pack or not ITEM_NAME.fullmatch(name) or len(ref) > LONGEST_REF:
        raise ItemError(path, f"expected {pack}.<name>, the name in lower-case letters, digits, _ and -")
    return ref
