"""What the sensors app asks of apps above it; they register the answer in `ready()`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class RuleState:
    """As much of a rule as an event that is addressed to it must know."""

    ref: str
    trigger_ref: str
    enabled: bool


_rule_states: Callable[[list[int]], dict[int, RuleState]] | None = None


def answer_rule_states(function: Callable[[list[int]], dict[int, RuleState]]) -> None:
    """Register who knows rules: a function from rule ids to those that exist."""
    global _rule_states  # noqa: PLW0603 (set once, at start)
    _rule_states = function


def rule_states(ids: Iterable[int]) -> dict[int, RuleState]:
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    if _rule_states is None:
        raise LookupError("no app has registered who knows rules")
    return _rule_states(wanted)
