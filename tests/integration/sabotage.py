"""Run a service with one thing broken: `python -m tests.integration.sabotage WHAT SERVICE`.

Each is a mistake that a programmer or an operator could make, as the founding incident was.
"""

import os
import sys

WHAT, SERVICE = sys.argv[1], sys.argv[2]
os.environ["ATTUNE_SERVICE"] = SERVICE
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "attune_project.settings")

from celery.__main__ import main  # noqa: E402

from attune_project.messaging import topology  # noqa: E402
from attune_project.messaging.management.commands.service import command_of  # noqa: E402

arguments = command_of(SERVICE, 0, "127.0.0.1")[2:]


def change(message: topology.MessageType, field: str, value: str) -> None:
    object.__setattr__(message, field, value)


if WHAT == "wrong-exchange":  # the founding incident: enforcement.created on the events exchange
    change(topology.ENFORCEMENT_CREATED, "exchange", topology.EVENTS.name)
elif WHAT == "renamed-task":
    change(topology.ENFORCEMENT_CREATED, "name", "EnforcementMade")
elif WHAT == "not-consuming":  # the executor listens to one queue too few
    place = arguments.index("--queues") + 1
    names = [name for name in arguments[place].split(",") if name != topology.ENFORCEMENT_CREATED.queue]
    arguments[place] = ",".join(names)
elif WHAT.startswith("deaf:"):  # this service does not listen to a routing key's queue
    queue = next(m.queue for m in topology.MESSAGE_TYPES if m.routing_key == WHAT.removeprefix("deaf:"))
    place = arguments.index("--queues") + 1
    arguments[place] = ",".join(name for name in arguments[place].split(",") if name != queue) or "attune.dlq"
else:
    raise SystemExit(f"unknown sabotage {WHAT}")

sys.argv = ["celery", *arguments]
main()
