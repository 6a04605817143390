"""What an animal of the zoo is: an action that misbehaves, and what must become of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODES = ("none", "user", "bwrap")
CAGED = ("user", "bwrap")  # under the worker's own user some things can't be held back
SECRET = "correct-horse-battery-staple"
# The seconds that a process sleeps which must not outlive its run; with the id behind the point, its name.
FOREVER = "86400.$ATTUNE_EXEC_ID"


@dataclass(frozen=True)
class Animal:
    """A script with what is expected of its run, in each of `modes`."""

    name: str
    script: str
    runner: str = "core.shell"
    statuses: tuple[str, ...] = ("completed",)
    error: str = ""  # a regular expression that result.error must match somewhere
    seconds: int = 20  # the action's time limit
    modes: tuple[str, ...] = MODES
    cancel: bool = False  # cancelled by a person once it runs
    parameters: Mapping[str, Any] = field(default_factory=dict)
    secret: bool = False  # it is given SECRET as its parameter `secret`, which nothing may show
    limits: Mapping[str, int] = field(default_factory=dict)
    output_format: str = "text"
    result: Mapping[str, Any] = field(default_factory=dict)  # members that the result must have
    says: str = ""  # a regular expression that stdout must match somewhere
    never: tuple[str, ...] = ()  # texts that must not be in the result or the log

    def document(self) -> dict[str, Any]:
        """Return its action's YAML file."""
        return {
            "ref": f"zoo.{self.name}",
            "label": self.name,
            "runner_type": self.runner,
            "entry_point": f"{self.name}.{'py' if self.runner == 'core.python' else 'sh'}",
            "timeout_seconds": self.seconds,
            "output_format": self.output_format,
            **({"limits": dict(self.limits)} if self.limits else {}),
            "parameters": {
                "secret": {"type": "string", "secret": True},
                "filler": {"type": "string"},
            },
        }

    def given(self) -> dict[str, Any]:
        return {**self.parameters, **({"secret": SECRET} if self.secret else {})}


def shell(name: str, script: str, **expected: Any) -> Animal:
    return Animal(name, script.strip() + "\n", **expected)


def python(name: str, script: str, **expected: Any) -> Animal:
    return Animal(name, script.strip() + "\n", runner="core.python", **expected)
