"""Change policies. The table's triggers let no decision be made meanwhile, and make a new stamp."""

from django.db import connection, transaction

from executions.models import Policy

_HOLD_OFF_DECISIONS = "SELECT pg_advisory_xact_lock(hashtextextended('attune.policies', 0))"
_FREE_ALL = """
WITH mine AS (SELECT id FROM policy_slot WHERE policy_id = %s ORDER BY execution_id FOR UPDATE)
DELETE FROM policy_slot s USING mine WHERE s.id = mine.id
"""


def save_policy(policy: Policy) -> Policy:
    """Insert or update a policy that was validated; what waits is looked through again by the executor."""
    policy.save()
    return policy


def delete_policy(policy: Policy) -> None:
    """Delete a policy with its groups and slots; who waited for it is let go by the executor."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_HOLD_OFF_DECISIONS)
        cursor.execute(_FREE_ALL, [policy.pk])
        policy.delete()
