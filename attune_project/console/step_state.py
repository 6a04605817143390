"""What the steps of the pipeline last said of themselves, in seconds ago by the database's clock."""

from dataclasses import dataclass

from django.conf import settings
from django.db import connection

BEHIND_SECONDS = 10.0


def late() -> float:
    """Return after how many seconds of silence something is late.

    A service that is restarted within 15 s must not be told on (its last sign of life is then up to
    15 s and one probe interval old), and what is late must be told within 30 s, on a busy machine too:
    hence 20 s, a probe every 4 s, a look every 2 s.
    """
    return float(settings.ATTUNE_PROBE_LATE_SECONDS)


@dataclass(frozen=True)
class StepState:
    """None: it never happened."""

    polled: float | None = None
    full_claim: float | None = None
    repaired: float | None = None
    repairs: int = 0

    @property
    def behind(self) -> bool:
        """A claim came back full lately: what is late here is merely behind."""
        return self.full_claim is not None and self.full_claim < BEHIND_SECONDS


SILENT = StepState()


def read() -> dict[str, StepState]:
    """Return the state of every step that has a row, by name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, extract(epoch FROM now() - polled_at)::float8,"
            " extract(epoch FROM now() - full_claim_at)::float8,"
            " extract(epoch FROM now() - repaired_at)::float8, repairs FROM step"
        )
        return {row[0]: StepState(*row[1:]) for row in cursor.fetchall()}


def uptime() -> float:
    """Return for how many seconds this database has seen services; 0 when it never has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM now() - min(created))::float8 FROM message_probe")
        age = cursor.fetchone()[0]
    return float(age or 0.0)
