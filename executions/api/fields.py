"""Fields that several bodies have."""

from typing import Any

from rest_framework.exceptions import ValidationError

from attune_project.messaging.topology import POOL_NAME
from attune_project.packs.keys import label_problems
from attune_project.rest.serializers import Map, Text
from executions.lifecycle import retrying
from executions.runners import limits, offers


class PoolName(Text):
    default_error_messages = {"pool": "Expected at most 64 letters, digits, _ and -."}

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if not POOL_NAME.fullmatch(name):
            self.fail("pool")
        return name


class Checked(Map):
    """A map with a meaning of its own: `problems` finds what is wrong with it, by member."""

    def problems(self, value: Any) -> dict[str, list[str]]:
        raise NotImplementedError

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        found = self.problems(value)
        if found:
            raise ValidationError([f"{path}: {text}" if path else text for path, (text,) in found.items()])
        return value


class Requirements(Checked):
    """What a worker must offer: runtimes by name, with the versions that will do (`{"python": ">=3.10"}`)."""

    def problems(self, value: Any) -> dict[str, list[str]]:
        return offers.problems(value)


class Labels(Checked):
    """Labels that a worker must have, each a text: `{"zone": "eu"}`."""

    def problems(self, value: Any) -> dict[str, list[str]]:
        return label_problems(value)


class Limits(Checked):
    """What a process of the action may use: `{memory_mb, cpu_seconds, files, processes, file_size_mb}`."""

    def problems(self, value: Any) -> dict[str, list[str]]:
        return limits.problems(value)


class RetryOn(Checked):
    """Which attempts are tried again: `{statuses, exit_codes, expression}`, any of them; null: every one."""

    def problems(self, value: Any) -> dict[str, list[str]]:
        return retrying.problems(value)
