"""System checks: the table of messages is whole."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

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
