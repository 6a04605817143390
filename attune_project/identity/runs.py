"""The run of an action that a request comes from. Executions stand above: they answer by functions.

A run's token is good while its attempt runs, and for the rights that the run was lent: never for those of
the identity that it runs for.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

LARGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class Run:
    """One attempt of an execution, as its token names it."""

    execution_id: int
    attempt: int
    action_ref: str
    permission_set_refs: tuple[str, ...]

    @property
    def pack_ref(self) -> str:
        return self.action_ref.partition(".")[0]

    def as_metadata(self) -> dict[str, Any]:
        return {**asdict(self), "permission_set_refs": list(self.permission_set_refs)}


def run_of(metadata: Any) -> Run | None:
    """Read the metadata of a token; None when they aren't a run's."""
    values = metadata if isinstance(metadata, Mapping) else {}
    numbers = [values.get("execution_id"), values.get("attempt")]
    refs = values.get("permission_set_refs")
    texts = [values.get("action_ref"), *(refs if isinstance(refs, list) else [None])]
    if not all(type(number) is int and 0 < number <= LARGEST_ID for number in numbers):
        return None
    if not all(isinstance(text, str) for text in texts):
        return None
    return Run(values["execution_id"], values["attempt"], values["action_ref"], tuple(refs or ()))


IsOn = Callable[[Run], bool]
Descendants = Callable[[int], list[int]]


def _none_is_on(run: Run) -> bool:
    return False


def _no_descendants(execution_id: int) -> list[int]:
    return []


_is_on: IsOn = _none_is_on
_descendants: Descendants = _no_descendants


def answer_runs(*, is_on: IsOn, descendants: Descendants) -> None:
    """Let executions say whether an attempt still runs, and which executions are below one."""
    global _is_on, _descendants
    _is_on, _descendants = is_on, descendants


def is_on(run: Run) -> bool:
    return _is_on(run)


def with_descendants(execution_id: int) -> list[int]:
    """Return an execution's id with those of all below it."""
    return [execution_id, *_descendants(execution_id)]
