"""An execution: one run of an action, whoever asked for it."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value

from attune_project.rows import Row, one_of


class Status(models.TextChoices):
    REQUESTED = "requested"  # owes admission: parameters, policies, placement
    SCHEDULING = "scheduling"  # is being admitted
    SCHEDULED = "scheduled"  # owes a run: a worker may claim it
    RUNNING = "running"  # a worker holds its lease
    COMPLETED = "completed"  # the action ended with success
    FAILED = "failed"  # the action ended with an error, or could not be run
    CANCELING = "canceling"  # runs, and is to stop
    CANCELLED = "cancelled"  # was stopped by a person or a workflow
    TIMEOUT = "timeout"  # went over its time limit
    ABANDONED = "abandoned"  # its worker was lost


TERMINAL = (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.TIMEOUT, Status.ABANDONED)
LEASED = (Status.RUNNING, Status.CANCELING)


class RetryReason(models.TextChoices):
    WORKER_UNAVAILABLE = "worker_unavailable"  # the worker of the last attempt was lost
    TRANSIENT_ERROR = "transient_error"  # the last attempt failed
    TIMEOUT = "timeout"  # the last attempt went over its time limit
    MANUAL_RETRY = "manual_retry"  # a person asked for it
    UNKNOWN = "unknown"  # anything else


class Execution(Row):
    """Its status says what it owes; only executions/lifecycle.py changes it."""

    source_key = models.TextField(null=True)
    rule_ref = models.TextField(null=True)
    trigger_ref = models.TextField(null=True)
    action = models.ForeignKey(
        "executions.Action",
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    action_ref = models.TextField()
    config = models.JSONField(db_default=Value({}, models.JSONField()))
    env_vars = models.JSONField(null=True)
    parent = models.ForeignKey(
        "self", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="children"
    )
    executor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    worker = models.ForeignKey(
        "packs.Worker", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    status = models.TextField(choices=Status, db_default=Status.REQUESTED)
    status_reason = models.TextField(null=True)
    result = models.JSONField(null=True)
    permission_set_refs = ArrayField(models.TextField(), db_default=Value([], ArrayField(models.TextField())))
    worker_pool = models.TextField(null=True)
    worker_selector = models.JSONField(null=True)
    worker_tolerations = models.JSONField(null=True)
    worker_affinity = models.JSONField(null=True)
    retry_count = models.IntegerField(db_default=0)
    max_retries = models.IntegerField(null=True)
    retry_reason = models.TextField(choices=RetryReason, null=True)
    original_execution = models.ForeignKey(
        "self", models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="reruns"
    )
    priority = models.IntegerField(db_default=0)  # among those that wait in one policy group: higher first
    policy = models.ForeignKey(
        "executions.Policy", models.DO_NOTHING, null=True, db_constraint=False, db_index=False,
        related_name="+",
    )  # fmt: skip
    policy_group = models.TextField(null=True)
    queued_at = models.DateTimeField(null=True)  # since when it waits in its policy's queue; null: it doesn't
    cancelled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, db_constraint=False, db_index=False,
        related_name="+",
    )  # fmt: skip
    cancel_reason = models.TextField(null=True)
    rerun_reason = models.TextField(null=True)
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    trace_id = models.UUIDField()
    scheduled_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)

    class Meta(Row.Meta):
        db_table = "execution"
        constraints = [
            models.UniqueConstraint(fields=["source_key"], name="execution_source_key_key"),
            one_of("execution_status_check", "status", Status),
            models.CheckConstraint(
                condition=Q(status__in=TERMINAL, finished_at__isnull=False)
                | (~Q(status__in=TERMINAL) & Q(finished_at__isnull=True)),
                name="execution_finished_check",
            ),
            models.CheckConstraint(
                condition=Q(status__in=LEASED, lease_token__isnull=False)
                | (~Q(status__in=LEASED) & Q(lease_token__isnull=True)),
                name="execution_lease_check",
            ),
        ]
        indexes = [
            # admission of what no policy holds back: ORDER BY id (due_at is looked at row by row)
            models.Index(
                fields=["id"],
                condition=Q(status="requested", policy__isnull=True),
                name="execution_requested_idx",
            ),
            # what is looked through again after a change of policies: ORDER BY id
            models.Index(
                fields=["id"],
                condition=Q(status="requested", policy__isnull=False),
                name="execution_held_back_idx",
            ),
            # what falls due and then joins its policy's queue: retries
            models.Index(
                fields=["due_at"],
                condition=Q(status="requested", policy__isnull=False, queued_at__isnull=True),
                name="execution_joining_idx",
            ),
            # workers' claim: WHERE status = 'scheduled' ORDER BY id
            models.Index(fields=["id"], condition=Q(status="scheduled"), name="execution_scheduled_idx"),
            # lease ends: few rows; the lease itself is kept out of indexes so that heartbeats stay HOT
            models.Index(
                fields=["id"], condition=Q(status__in=["running", "canceling"]), name="execution_leased_idx"
            ),
            # settling: terminal and not settled
            models.Index(
                fields=["id"],
                condition=Q(settled_at__isnull=True, finished_at__isnull=False),
                name="execution_unsettled_idx",
            ),
            # the queue of a policy group: by priority, then id
            models.Index(
                fields=["policy", "policy_group", "-priority", "id"],
                condition=Q(status="requested", queued_at__isnull=False),
                name="execution_queue_idx",
            ),
            # the oldest in the queues of a policy
            models.Index(
                fields=["policy", "queued_at"],
                condition=Q(status="requested", queued_at__isnull=False),
                name="execution_queue_age_idx",
            ),
            # streams that resume: what has ended since
            models.Index(
                fields=["finished_at", "id"],
                condition=Q(finished_at__isnull=False),
                name="execution_finished_idx",
            ),
            # re-runs of an execution
            models.Index(
                fields=["original_execution"],
                condition=Q(original_execution__isnull=False),
                name="execution_original_idx",
            ),
            # lists, newest first
            models.Index(fields=["-created", "-id"], name="execution_created_idx"),
            # of an action, of a pack's actions (LIKE 'core.%'), of a rule, of a trigger
            models.Index(
                fields=["action_ref", "-created", "-id"],
                opclasses=["text_pattern_ops", "timestamptz_ops", "int8_ops"],
                name="execution_action_ref_idx",
            ),
            models.Index(
                fields=["rule_ref", "-created", "-id"],
                condition=Q(rule_ref__isnull=False),
                name="execution_rule_ref_idx",
            ),
            models.Index(
                fields=["trigger_ref", "-created", "-id"],
                condition=Q(trigger_ref__isnull=False),
                name="execution_trigger_ref_idx",
            ),
            # of those that wait: few start so
            models.Index(
                fields=["-created", "-id"],
                condition=Q(status__in=["requested", "scheduling"]),
                name="execution_waiting_idx",
            ),
            # of an end that is rare: the others are found among the newest, or by the indexes above
            models.Index(
                fields=["status", "-created", "-id"],
                include=["action_ref", "rule_ref", "trigger_ref", "worker", "executor"],  # for two conditions
                condition=Q(status__in=["failed", "cancelled", "timeout", "abandoned"]),
                name="execution_unsuccessful_idx",
            ),
            # of a worker, of an identity: one that is gone or idle has nothing among the newest
            models.Index(
                fields=["worker", "-created", "-id"],
                condition=Q(worker__isnull=False),
                name="execution_worker_idx",
            ),
            models.Index(
                fields=["executor", "-created", "-id"],
                condition=Q(executor__isnull=False),
                name="execution_executor_idx",
            ),
            models.Index(fields=["parent"], condition=Q(parent__isnull=False), name="execution_parent_idx"),
        ]

    def __str__(self) -> str:
        return f"execution {self.pk} of {self.action_ref}"
