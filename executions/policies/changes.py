"""Change policies. The table's triggers let no decision be made meanwhile, and make a new stamp.

A change first waits for the decisions that are under way, and only then locks rows: decisions lock them in
that order, too.
"""

from typing import Any

from django.db import connection, transaction

from executions.models import Policy

# In the order in which ends of executions free them, so that neither waits for the other.
_FREE_ALL = """
WITH mine AS (SELECT id FROM policy_slot WHERE policy_id = %s ORDER BY execution_id FOR UPDATE)
DELETE FROM policy_slot s USING mine WHERE s.id = mine.id
"""
_HOLD_OFF_DECISIONS = "SELECT pg_advisory_xact_lock(hashtextextended('attune.policies', 0))"


def hold_off_decisions(**_: Any) -> None:
    """Let nobody decide by policies until this transaction ends.

    Before a policy is deleted, with its pack too, this is a receiver: its groups and slots go first.
    """
    with connection.cursor() as cursor:
        cursor.execute(_HOLD_OFF_DECISIONS)


def locked_policy(policy_id: int) -> Policy | None:
    """Return a policy as it is now, to be changed in the caller's transaction; None when it is gone."""
    hold_off_decisions()
    return Policy.objects.select_for_update(of=("self",)).filter(pk=policy_id).first()


def save_policy(policy: Policy) -> Policy:
    """Insert or update a policy that was validated; what waits is looked through again by the executor."""
    policy.save()
    return policy


def delete_policy(policy: Policy) -> None:
    """Delete a policy with its groups and slots; who waited for it is let go by the executor."""
    with transaction.atomic(), connection.cursor() as cursor:
        hold_off_decisions()
        cursor.execute(_FREE_ALL, [policy.pk])
        policy.delete()
