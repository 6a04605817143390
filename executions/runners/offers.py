"""What a worker host has of each runtime, and whether that meets what an action asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from executions.runners import ALIASES, RUNNERS
from executions.runners.job import RunnerSettings

_PLAIN = re.compile(r"v?(\d+(?:\.\d+)*)(?:\.[x*])*")
_NEAR = re.compile(r"(\^|~(?!=))\s*v?(\d+(?:\.\d+){0,2})(?:\.[x*])*")
_GAP = re.compile(r"(?<=[\w*])[\s,]+(?=[<>=!~^])|\s*,\s*")


def offered(settings: RunnerSettings | None = None) -> dict[str, str]:
    """Return what this host really has: version by the runtime's name (`python`, not `core.python`).

    Programs are asked once per process; later calls cost nothing.
    """
    host = settings or RunnerSettings()
    versions = {name_of(ref): runner.offers(host) for ref, runner in RUNNERS.items()}
    return {name: version for name, version in versions.items() if version is not None}


def meets(required: Mapping[str, Any], offered: Mapping[str, str]) -> bool:
    """Tell whether a host offers every runtime that an action requires, in a version that it takes.

    A constraint is that of Python packages (`>=3.10,<4`), of npm (`^20`, `~20.1`, `>=18 <21`, `18 || 20`)
    or a version, which means all that begin with it (`20`). One that can't be read is never met.
    """
    try:
        return all(_allows(constraint, offered.get(_named(name))) for name, constraint in required.items())
    except (InvalidSpecifier, InvalidVersion):
        return False


def problems(required: Any) -> dict[str, list[str]]:
    """Return what is wrong with an action's `required_worker_runtimes`, by runtime."""
    if not isinstance(required, Mapping):
        return {"": ["expected a map of runtimes to versions"]}
    found = {str(name): _problem(str(name), constraint) for name, constraint in required.items()}
    return {name: [problem] for name, problem in found.items() if problem is not None}


def name_of(runtime_ref: str) -> str:
    """Return the name by which hosts offer a runtime: `python` for `core.python`."""
    return runtime_ref.removeprefix("core.")


def _named(name: str) -> str:
    """Return the name of a runtime that is named by its ref or an alias."""
    return name_of(ALIASES.get(name, name))


def _problem(name: str, constraint: Any) -> str | None:
    known = sorted(map(name_of, RUNNERS))
    if _named(name) not in known:
        return f"no such runtime; one of {', '.join(known)}"
    if not isinstance(constraint, str):
        return "expected text such as '>=3.10'; put quotes around it"
    try:
        list(_alternatives(constraint))
    except InvalidSpecifier:
        return f"{constraint!r} is no version constraint; such as '>=3.10,<4', '20' or '^20'"
    return None


def _allows(constraint: Any, version: str | None) -> bool:
    if version is None or not isinstance(constraint, str):
        return False
    return any(one.contains(Version(version), prereleases=True) for one in _alternatives(constraint))


def _alternatives(constraint: str) -> Iterator[SpecifierSet]:
    for alternative in constraint.split("||"):
        yield SpecifierSet(",".join(_specifiers(alternative.strip())))


def _specifiers(text: str) -> Iterator[str]:
    for part in _GAP.split(text):
        word = part.strip()
        if plain := _PLAIN.fullmatch(word):
            yield f"=={plain[1]}.*"
        elif near := _NEAR.fullmatch(word):
            yield from _near(near[1], near[2])
        elif word not in ("", "*", "x"):
            yield re.sub(r"\s+", "", word)


def _near(sign: str, version: str) -> Iterator[str]:
    """Return the bounds of `^1.2.3` (the first part that isn't 0 stays) or `~1.2.3` (the first two stay)."""
    parts = [int(part) for part in version.split(".")]
    if sign == "~":
        kept = min(len(parts), 2)
    else:
        kept = next((place for place, part in enumerate(parts, 1) if part), len(parts))
    yield f">={version}"
    yield f"<{'.'.join(map(str, [*parts[: kept - 1], parts[kept - 1] + 1]))}"
