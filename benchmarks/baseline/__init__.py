"""The same pipeline written by hand, with Celery tasks and Django models: what Attune is measured against.

Event, enforcement and execution are rows; each step is a task that reads its row, writes the next one and
publishes on commit. Connections are persistent, messages durable and confirmed, tasks acked late, so that it
loses as little as Attune does when a process dies.
"""

QUEUE = "by-hand"
