"""Whether a message of each type, sent by each service, reaches the code that understands it."""

from django.db import models

from attune_project.rows import Row


class MessageProbe(Row):
    """The last probe of a routing key from a service, and when its real consumer answered."""

    message_type = models.TextField()
    routing_key = models.TextField()
    service = models.TextField()
    sent_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)
    error = models.TextField(null=True)  # why the last publish failed, in the broker's words

    class Meta(Row.Meta):
        db_table = "message_probe"
        constraints = [
            models.UniqueConstraint(
                fields=["routing_key", "service"], name="message_probe_routing_key_service_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.routing_key} from {self.service}"
