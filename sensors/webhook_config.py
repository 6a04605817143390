"""What a webhook is guarded by: the map in `trigger.webhook_config`, read so that doubt closes the door.

Of the guards of the contract only the size limit is built. One of the others that is on (a pack may
have brought it) therefore refuses every request: better no events than events nobody checked.
"""

from collections.abc import Mapping
from typing import Any

GUARDS = ("hmac", "timestamp", "ip_whitelist", "rate_limit")
DEFAULT_LIMIT_KB = 1024
LARGEST_LIMIT_KB = 10 * 1024  # what any body may have

NOT_YET = "This guard isn't available yet; leave it disabled."


class Closed(Exception):
    """The webhook can't be guarded as its settings ask, so it takes nothing. The text is for operators."""


def size_limit(config: Any) -> int:
    """Return how many bytes a body may have. Raise Closed for a limit that isn't one."""
    limit = config.get("payload_size_limit_kb") if isinstance(config, Mapping) else None
    if limit is None:
        return DEFAULT_LIMIT_KB * 1024
    if not is_limit(limit):
        raise Closed("payload_size_limit_kb isn't a size")
    return int(limit) * 1024


def is_limit(limit: Any) -> bool:
    return isinstance(limit, int) and not isinstance(limit, bool) and 1 <= limit <= LARGEST_LIMIT_KB


def refuse_unbuilt(config: Any) -> None:
    """Raise Closed when a guard is on, or may be meant to be."""
    if not isinstance(config, Mapping):
        raise Closed("webhook_config isn't a map")
    for name in GUARDS:
        if not is_off(config.get(name)):
            raise Closed(f"{name} isn't available yet")


def is_off(guard: Any) -> bool:
    """Tell a guard that is off beyond doubt."""
    return guard is None or (isinstance(guard, Mapping) and guard.get("enabled") in (None, False))


def problems(given: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with new settings, by field; keys that nobody knows are ignored."""
    found: dict[str, list[str]] = {}
    for name in GUARDS:
        found |= _guard_problems(name, given.get(name))
    limit = given.get("payload_size_limit_kb")
    if limit is not None and not is_limit(limit):
        found["payload_size_limit_kb"] = [f"Expected a whole number from 1 to {LARGEST_LIMIT_KB}."]
    return found


def _guard_problems(name: str, guard: Any) -> dict[str, list[str]]:
    if guard is None:
        return {}
    if not isinstance(guard, Mapping):
        return {name: ["Expected an object."]}
    if guard.get("enabled") not in (None, False, True):
        return {f"{name}.enabled": ["Expected true or false."]}
    if not is_off(guard):
        return {f"{name}.enabled": [NOT_YET]}
    if guard.get("secret") is not None:
        return {f"{name}.secret": ["Secrets aren't kept before this guard is available."]}
    return {}


def changed(stored: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings after a partial change whose nulls clear."""
    known = {name: given[name] for name in (*GUARDS, "payload_size_limit_kb") if name in given}
    merged = {**(stored if isinstance(stored, Mapping) else {}), **known}
    return {name: value for name, value in merged.items() if value is not None}


def shown(config: Any) -> dict[str, Any]:
    """Return the settings with their defaults and without secrets."""
    stored = config if isinstance(config, Mapping) else {}
    guards = {name: _shown_guard(stored.get(name)) for name in GUARDS}
    return {**guards, "payload_size_limit_kb": stored.get("payload_size_limit_kb", DEFAULT_LIMIT_KB)}


def _shown_guard(guard: Any) -> dict[str, Any]:
    kept = guard if isinstance(guard, Mapping) else {}
    return {
        "enabled": not is_off(guard),
        **{name: kept[name] for name in kept if name not in ("enabled", "secret")},
    }
