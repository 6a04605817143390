"""What may be said of a policy: judged alike for the API and the admin."""

import re
from collections.abc import Mapping
from typing import Any

from attune_project.packs import keys

REF = re.compile(rf"{keys.PACK_REF.pattern}(\.{keys.ITEM_NAME.pattern})?")
MOST_PARAMETERS = 20
LONGEST_NAME = 255
LONGEST_SECONDS = 366 * 86_400.0
Problems = dict[str, list[str]]


def ref_problem(ref: str) -> str | None:
    """Return what is wrong with a policy's ref: <pack>.<name>, or one name where it has no pack."""
    if REF.fullmatch(ref) and len(ref) <= keys.LONGEST_REF:
        return None
    return (
        "Expected <pack>.<name> or <name>, in lower-case letters, digits, _ and -, beginning with a letter."
    )


def problems_of(policy: Mapping[str, Any]) -> Problems:
    """Return what is wrong with the columns of a policy as it is going to be, by column."""
    found: Problems = {}
    _note(found, "threshold", _below(policy.get("threshold"), 1))
    _note(found, "rate_limit", _below(policy.get("rate_limit"), 1))
    _note(found, "max_queue_length", _below(policy.get("max_queue_length"), 0))
    for name in ("rate_seconds", "max_queue_age"):
        _note(found, name, _bad_seconds(policy.get(name)))
    if (policy.get("rate_limit") is None) != (policy.get("rate_seconds") is None):
        missing = "rate_seconds" if policy.get("rate_seconds") is None else "rate_limit"
        _note(found, missing, "rate_limit and rate_seconds go together.")
    _note(found, "parameters", _bad_names(policy.get("parameters") or []))
    return found


def _note(found: Problems, name: str, problem: str | None) -> None:
    if problem:
        found.setdefault(name, []).append(problem)


def _below(value: int | None, least: int) -> str | None:
    if value is None or least <= value <= keys.LARGEST_WHOLE:
        return None
    return f"Expected a whole number from {least} to {keys.LARGEST_WHOLE}."


def _bad_seconds(value: float | None) -> str | None:
    if value is None or 0 < value <= LONGEST_SECONDS:
        return None
    return f"Expected seconds, more than 0 and at most {LONGEST_SECONDS:.0f}."


def _bad_names(names: list[str]) -> str | None:
    if len(names) > MOST_PARAMETERS:
        return f"At most {MOST_PARAMETERS} parameters make a group."
    if len(set(names)) < len(names):
        return "A parameter is named twice."
    if any(not name.strip() or len(name) > LONGEST_NAME for name in names):
        return f"Expected names of parameters, of at most {LONGEST_NAME} characters."
    return None
