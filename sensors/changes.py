"""Change triggers: whether they are on, with the timers of their rules, and their webhooks."""

import secrets

from django.db import transaction

from sensors import timers
from sensors.models import Trigger


def set_enabled(trigger: Trigger, enabled: bool) -> Trigger:
    """Switch a trigger; the timers of its rules start anew or stop in the same transaction."""
    with transaction.atomic():
        trigger.enabled = enabled
        trigger.save(update_fields=["enabled"])
        if enabled:
            timers.arm_trigger(trigger.ref)
        else:
            timers.disarm_trigger(trigger.ref)
    return trigger


def delete_trigger(trigger: Trigger) -> None:
    """Delete a trigger and stop its timers; rules and history keep its ref."""
    with transaction.atomic():
        timers.disarm_trigger(trigger.ref)
        trigger.delete()


def enable_webhook(trigger: Trigger) -> Trigger:
    """Open the trigger's webhook; a key that is there stays."""
    return _set_webhook(trigger, trigger.webhook_key or new_webhook_key())


def disable_webhook(trigger: Trigger) -> Trigger:
    """Close the trigger's webhook for good: its key is gone, its settings stay."""
    return _set_webhook(trigger, None)


def regenerate_webhook_key(trigger: Trigger) -> Trigger:
    return _set_webhook(trigger, new_webhook_key())


def new_webhook_key() -> str:
    return f"wh_{secrets.token_hex(16)}"


def _set_webhook(trigger: Trigger, key: str | None) -> Trigger:
    trigger.webhook_enabled, trigger.webhook_key = key is not None, key
    trigger.save(update_fields=["webhook_enabled", "webhook_key"])
    return trigger
