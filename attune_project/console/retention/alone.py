"""Tables whose rows stand alone, and when one of them is over."""

from dataclasses import dataclass

from attune_project.console.retention.limits import AUDIT, RUNTIME


@dataclass(frozen=True)
class Alone:
    """`over` is the SQL of rows that nobody needs once they are old; `time` is the column of their age."""

    table: str
    kind: str = RUNTIME
    over: str = "true"
    time: str = "created"

    @property
    def page(self) -> str:
        """Return the statement of a page of rows, as in chains.py."""
        return (
            f"SELECT id, {self.time} < %(end)s, {self.over} FROM {self.table}"  # noqa: S608 (our own)
            " WHERE id > %(after)s ORDER BY id LIMIT %(limit)s"
        )


TABLES = (
    Alone("timer_slot"),
    Alone(
        "dead_letter", over="COALESCE(requeued_at, discarded_at) < %(end)s"
    ),  # an open one waits for a person
    Alone("step_failure", over="message_id IS NOT NULL AND updated < %(end)s"),
    Alone("message_probe", over="sent_at < %(end)s"),  # of a service or a pool that is no more
    Alone("refresh_token", over="expires_at < %(end)s"),
    Alone("django_admin_log", AUDIT, time="action_time"),
)
