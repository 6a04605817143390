"""Which queue of its policy an execution belongs to, and what one that waits there is told."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.utils.crypto import salted_hmac

from attune_project.language import schemas
from executions.policies.table import Known, Table

log = structlog.get_logger(__name__)
LONGEST_KEY = 200
SALT = "attune.policy_group"


@dataclass(frozen=True)
class Queue:
    """A group of a policy's executions: those whose values of the policy's parameters are the same."""

    policy: Known
    key: str

    @property
    def reason(self) -> str:
        """Return what an execution that waits here waits for, in words."""
        policy = self.policy
        rate = (
            f" or its rate of {policy.rate_limit} per {policy.rate_seconds:g} s" if policy.rate_limit else ""
        )
        group = f" (group {self.key})" if self.key else ""
        return f"waiting for a slot of policy {policy.ref}{rate}{group}"


def queue_of(
    table: Table, action_ref: str, config: Mapping[str, Any], schema: Mapping[str, Any] | None
) -> Queue | None:
    """Return the queue of an execution with these parameters; None when no policy concerns it."""
    policy = table.of(action_ref)
    return None if policy is None else Queue(policy, group_key(policy.parameters, config, schema))


def group_key(
    parameters: tuple[str, ...], config: Mapping[str, Any], schema: Mapping[str, Any] | None
) -> str:
    """Return the values of these parameters as compact JSON, at most LONGEST_KEY characters.

    A missing one is null, numbers that are equal are the same, and a secret is told by a keyed digest only.
    """
    if not parameters:
        return ""
    hidden = _secret_among(parameters, schema)
    values = {name: _canonical(config.get(name)) for name in parameters}
    shown = {name: _digest(value) if name in hidden else value for name, value in values.items()}
    text = _json(shown)
    if len(text) <= LONGEST_KEY:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{text[: LONGEST_KEY - len(digest) - 1]}…{digest}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _canonical(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _canonical(one) for name, one in value.items()}
    return [_canonical(one) for one in value] if isinstance(value, list | tuple) else value


def _secret_among(parameters: tuple[str, ...], schema: Mapping[str, Any] | None) -> set[str]:
    """Return those that are secret or hold a secret; all of them under a schema that can't be read.

    An exception would hold up every execution behind this one.
    """
    try:
        secrets = schemas.secret_names(schema)
    except Exception:
        log.exception("the secrets of a schema could not be told")
        return set(parameters)
    return {
        name
        for name in parameters
        if any(secret == name or secret.startswith(f"{name}.") for secret in secrets)
    }


def _digest(value: Any) -> str | None:
    return None if value is None else f"secret {salted_hmac(SALT, _json(value)).hexdigest()[:16]}"
