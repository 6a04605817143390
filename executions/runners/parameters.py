"""Write parameters in the format that an action asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

_DOTENV_NAME = re.compile(r"[\w.-]+")


class UnknownFormat(Exception):
    """A parameter format that nothing can write."""


def render(document: Mapping[str, Any], parameter_format: str) -> bytes:
    """Return the document as json (one line), yaml or dotenv, always ending in a newline.

    dotenv leaves out what has other characters than letters, digits, `_`, `.` and `-` in its name.
    Callers choose names, and scripts evaluate lines: the name `x=$(id)` would be a command.
    """
    if parameter_format == "json":
        return compact(document).encode() + b"\n"
    if parameter_format == "yaml":
        text: str = yaml.safe_dump(dict(document), allow_unicode=True, sort_keys=False)
        return text.encode()
    if parameter_format == "dotenv":
        return "".join(f"{line}\n" for line in sorted(_dotenv("", document))).encode()
    raise UnknownFormat(f"Parameter format {parameter_format!r} is unknown; one of json, yaml, dotenv")


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def plain(value: Any) -> str:
    """Return a string as it is, null as nothing, everything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else compact(value)


def _dotenv(prefix: str, document: Mapping[str, Any]) -> Iterator[str]:
    for name, value in document.items():
        if not _DOTENV_NAME.fullmatch(name):
            continue
        if isinstance(value, dict) and value:
            yield from _dotenv(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}='{_escape(plain(value))}'"


def _escape(text: str) -> str:
    """Escape so that a shell reads the quotes back and every value stays on its line."""
    return text.replace("'", "'\\''").replace("\r", "\\r").replace("\n", "\\n")
