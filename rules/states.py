"""What this app answers to apps below it."""

from rules.models import Rule
from sensors.neighbours import RuleState


def rule_states(ids: list[int]) -> dict[int, RuleState]:
    """Return the rules of these ids that exist, as an event that is addressed to one must know them."""
    rows = Rule.objects.filter(pk__in=ids).values_list("pk", "ref", "trigger_ref", "enabled")
    return {row_id: RuleState(ref, trigger_ref, enabled) for row_id, ref, trigger_ref, enabled in rows}
