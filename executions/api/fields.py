"""Fields that several bodies have."""

from typing import Any

from rest_framework.exceptions import ValidationError

from attune_project.messaging.topology import POOL_NAME
from attune_project.rest.serializers import Map, Text
from executions.lifecycle import retrying
from executions.runners import offers


class PoolName(Text):
    default_error_messages = {"pool": "Expected at most 64 letters, digits, _ and -."}

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if not POOL_NAME.fullmatch(name):
            self.fail("pool")
        return name


class Requirements(Map):
    """What a worker must offer: runtimes by name, with the versions that will do (`{"python": ">=3.10"}`)."""

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        found = offers.problems(value)
        if found:
            raise ValidationError([f"{name}: {text}" if name else text for name, (text,) in found.items()])
        return value


class RetryOn(Map):
    """Which attempts are tried again: `{statuses, exit_codes, expression}`, any of them; null: every one."""

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        found = retrying.problems(value)
        if found:
            raise ValidationError([f"{path}: {text}" if path else text for path, (text,) in found.items()])
        return value
