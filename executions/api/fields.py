"""Fields that several bodies have."""

import re
from typing import Any

from rest_framework.exceptions import ValidationError

from attune_project.rest.serializers import Map, Text
from executions.lifecycle import retrying

# A pool's name is part of a routing key and of a queue's name.
POOL = re.compile(r"[A-Za-z0-9_-]{1,64}")


class PoolName(Text):
    default_error_messages = {"pool": "Expected at most 64 letters, digits, _ and -."}

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if not POOL.fullmatch(name):
            self.fail("pool")
        return name


class RetryOn(Map):
    """Which attempts are tried again: `{statuses, exit_codes, expression}`, any of them; null: every one."""

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        found = retrying.problems(value)
        if found:
            raise ValidationError([f"{path}: {text}" if path else text for path, (text,) in found.items()])
        return value
