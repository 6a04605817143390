"""A moment at which a timer was to fire, and what became of it."""

from django.db import models

from attune_project.rows import Row, one_of


class SlotOutcome(models.TextChoices):
    FIRED = "fired"  # an event was recorded in time
    LATE = "late"  # an event was recorded after a misfire
    SKIPPED = "skipped"  # no event, by the misfire policy


class TimerSlot(Row):
    timer = models.ForeignKey("sensors.Timer", models.CASCADE, related_name="slots")
    scheduled_for = models.DateTimeField()
    outcome = models.TextField(choices=SlotOutcome)
    reason = models.TextField(null=True, blank=True)
    event = models.ForeignKey(
        "sensors.Event", models.DO_NOTHING, null=True, blank=True, db_constraint=False, related_name="+"
    )

    class Meta(Row.Meta):
        db_table = "timer_slot"
        constraints = [
            models.UniqueConstraint(
                fields=["timer", "scheduled_for"], name="timer_slot_timer_id_scheduled_for_key"
            ),
            one_of("timer_slot_outcome_check", "outcome", SlotOutcome),
        ]

    def __str__(self) -> str:
        return f"{self.scheduled_for:%Y-%m-%dT%H:%M:%SZ} {self.outcome}"
