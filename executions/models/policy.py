"""A policy: how many executions may run at once, how fast they may start, and who waits."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from attune_project.rows import Row, one_of


class Method(models.TextChoices):
    ENQUEUE = "enqueue"  # waits as `requested` until a slot is free
    CANCEL = "cancel"  # ends `cancelled` when no slot is free
    COALESCE = "coalesce"  # one waits per group: a newer one takes the place of an older


class Policy(Row):
    """For an action, else for a pack's actions, else for all (both refs null). The newest one counts.

    `threshold`: slots per group. `parameters`: names whose values make the group; none: one group.
    `rate_limit` starts per `rate_seconds` and group. `max_queue_length` waiting per group;
    `max_queue_age` in seconds: what waits longer ends `cancelled`.
    """

    ref = models.TextField()
    pack = models.ForeignKey("packs.Pack", models.CASCADE, null=True, blank=True, related_name="policies")
    pack_ref = models.TextField(null=True, blank=True)
    action_ref = models.TextField(null=True, blank=True)
    label = models.TextField(null=True, blank=True)
    description = models.TextField(null=True, blank=True)
    enabled = models.BooleanField(default=True)
    method = models.TextField(choices=Method, default=Method.ENQUEUE)
    threshold = models.IntegerField()
    parameters = ArrayField(models.TextField(), default=list, blank=True)
    rate_limit = models.IntegerField(null=True, blank=True)
    rate_seconds = models.FloatField(null=True, blank=True)
    max_queue_length = models.IntegerField(null=True, blank=True)
    max_queue_age = models.FloatField(null=True, blank=True)
    is_adhoc = models.BooleanField(default=True)

    class Meta(Row.Meta):
        db_table = "policy"
        verbose_name_plural = "policies"
        constraints = [
            models.UniqueConstraint(fields=["ref"], name="policy_ref_key"),
            one_of("policy_method_check", "method", Method),
            models.CheckConstraint(condition=Q(threshold__gte=1), name="policy_threshold_check"),
            models.CheckConstraint(
                condition=Q(rate_limit__isnull=True, rate_seconds__isnull=True)
                | Q(rate_limit__gte=1, rate_seconds__gt=0),
                name="policy_rate_check",
            ),
        ]

    def __str__(self) -> str:
        return self.ref


class PolicyStamp(Row):
    """One row: `stamp` is another with each change of a policy (a trigger of the table sees to it).

    Decisions are made by the policies of one stamp. What waits is looked through again after a change:
    `resolving` is the stamp that this is done for, `resolved_upto` the last execution that was looked at,
    `resolved` the stamp for which it has been done.
    """

    stamp = models.UUIDField()
    resolving = models.UUIDField(null=True)
    resolved_upto = models.BigIntegerField(db_default=0)
    resolved = models.UUIDField(null=True)

    class Meta(Row.Meta):
        db_table = "policy_stamp"

    def __str__(self) -> str:
        return str(self.stamp)


class PolicyGroup(Row):
    """One queue of a policy. Whoever admits from it, or enqueues, holds this row's lock.

    `waiting`: false means that nothing waits here; true, that something may. A row without slots and
    without anything that waits is deleted when its rate's window is over.
    """

    policy = models.ForeignKey(Policy, models.CASCADE, db_index=False, related_name="groups")
    group_key = models.TextField()
    window_started_at = models.DateTimeField(null=True)
    window_count = models.IntegerField(db_default=0)
    last_admitted_at = models.DateTimeField(null=True)
    waiting = models.BooleanField(db_default=False)

    class Meta(Row.Meta):
        db_table = "policy_group"
        constraints = [
            models.UniqueConstraint(fields=["policy", "group_key"], name="policy_group_policy_group_key"),
        ]
        indexes = [
            # admission by the clock: groups in which something waits, the least recently admitted first
            models.Index(
                F("last_admitted_at").asc(nulls_first=True),
                "id",
                condition=Q(waiting=True),
                name="policy_group_waiting_idx",
            ),
            # groups that may be deleted
            models.Index(fields=["updated"], condition=Q(waiting=False), name="policy_group_idle_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.policy_id}: {self.group_key}"


class PolicySlot(Row):
    """A slot that an execution holds from its admission to the end of its attempt.

    Its lease is the execution's: it is freed in the transaction that ends or takes back the attempt.
    """

    policy = models.ForeignKey(Policy, models.CASCADE, db_index=False, related_name="slots")
    group_key = models.TextField()
    execution = models.OneToOneField(
        "executions.Execution", models.CASCADE, db_constraint=False, related_name="policy_slot"
    )

    class Meta(Row.Meta):
        db_table = "policy_slot"
        indexes = [models.Index(fields=["policy", "group_key"], name="policy_slot_group_idx")]

    def __str__(self) -> str:
        return f"slot of execution {self.execution_id}"
