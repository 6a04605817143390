"""System checks: the table of messages is whole, and no rehearsal goes on in production."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from attune_project.messaging import steps, topology
from attune_project.service import SERVICES


@register("messaging")
def check_steps(**_: Any) -> list[CheckMessage]:
    """Every message type has someone who does its step."""
    return [
        Error(
            f"No step is registered for the message {message.name}.",
            hint=f"Register its owed rows and verb in the ready() of the app `{message.app}`.",
            id="attune.E001",
        )
        for message in topology.MESSAGE_TYPES
        if not (steps.hint_of(message) if message.hint else steps.of_message(message))
    ]


@register("messaging")
def check_topology(**_: Any) -> list[CheckMessage]:
    """Every message type has publishers and a consumer that exist, and a queue of its own."""
    problems: list[CheckMessage] = []
    for message in topology.MESSAGE_TYPES:
        unknown = {message.consumer, *message.publishers} - set(SERVICES)
        if unknown or not message.publishers:
            problems.append(
                Error(f"{message.name} names services that do not exist: {sorted(unknown)}", id="attune.E002")
            )
    names = [message.queue for message in topology.MESSAGE_TYPES]
    for name in {name for name in names if names.count(name) > 1}:
        problems.append(Error(f"The queue {name} is used by more than one message type.", id="attune.E003"))
    return problems


@register("messaging")
def check_faults(**_: Any) -> list[CheckMessage]:
    """Nobody rehearses failures in production unawares."""
    if not (settings.PRODUCTION and settings.ATTUNE_FAULTS):
        return []
    points = ", ".join(sorted({one.point for one in settings.ATTUNE_FAULTS}))
    return [
        Warning(
            f"ATTUNE_FAULTS is set: processes kill, freeze or fail themselves at {points}.",
            hint="Unset it unless you rehearse failures.",
            id="attune.W001",
        )
    ]
