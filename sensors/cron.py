"""Cron expressions with seconds, on the wall clock of a time zone.

cronsim parses the fields and walks wall times that know no zone. What daylight saving does to them
is decided here, since cronsim knows Debian's rules for five fields only:

* **fixed times** (no star at the start of hour, minute or second): a time that the clock skips is
  due at the first instant after the skip, a time that it shows twice is due at the first showing;
* **elapsed time** (a star there): due whenever the clock shows the time, so twice where the clock is
  set back and not at all where it is set forward.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from sensors.wallclock import SECOND, instant_of, last_change, next_change, wall_of

LONGEST = 256
# cronsim looks 50 years ahead, and datetime ends with the year 9999.
LAST_YEAR = 9900


class CronError(ValueError):
    """Say in words what is wrong with an expression."""


@dataclass(frozen=True)
class Cron:
    """A parsed expression in its zone; its slots are whole seconds."""

    expression: str
    tz: ZoneInfo
    fields: CronSim = field(compare=False, repr=False)
    elapsed: bool

    @classmethod
    def parse(cls, expression: str, tz: ZoneInfo) -> "Cron":
        """Read an expression of five fields (minute first) or six (second first)."""
        parts = expression.split()
        if len(expression) > LONGEST:
            raise CronError(f"must have at most {LONGEST} characters")
        if len(parts) not in (5, 6):
            raise CronError(f"must have 5 fields (minute first) or 6 (second first), not {len(parts)}")
        try:
            fields = CronSim(expression, datetime(2000, 1, 1))
        except (CronSimError, ValueError) as error:
            raise CronError(f"isn't a cron expression: {error}") from None
        # The three fields before the day; in five fields the second is 0, which isn't a star.
        elapsed = any(part.startswith("*") for part in parts[:-3])
        return cls(expression, tz, fields, elapsed)

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot later than an instant, or None when there is none for 50 years."""
        if instant.year >= LAST_YEAR:
            return None
        instant = instant.astimezone(UTC)
        return self._next_elapsed(instant) if self.elapsed else self._next_fixed(instant)

    def _next_fixed(self, instant: datetime) -> datetime | None:
        for wall in self._walls_after(self._wall_not_seen(instant)):
            slot = instant_of(wall, self.tz)
            if slot > instant:
                return slot
        return None

    def _wall_not_seen(self, instant: datetime) -> datetime:
        """Return a wall time up to which every showing lies before the instant.

        In the second showing of an hour that is the end of that hour: walking through it for each
        slot would look at 3,600 times that are over.
        """
        wall = wall_of(instant, self.tz)
        change = last_change(instant, self.tz) if instant.astimezone(self.tz).fold else None
        return wall if change is None else wall_of(change - SECOND, self.tz)

    def _next_elapsed(self, instant: datetime) -> datetime | None:
        """Walk from one change of the clock to the next; between them the wall runs with time."""
        wall = wall_of(instant, self.tz)
        while True:
            offset = wall - instant.replace(tzinfo=None)
            match = next(self._walls_after(wall), None)
            if match is None:
                return None
            slot = (match - offset).replace(tzinfo=UTC)
            change = next_change(instant, slot, self.tz)
            if change is None:
                return slot
            instant, wall = change, wall_of(change, self.tz)
            if next(self._walls_after(wall - SECOND), None) == wall:
                return change

    def _walls_after(self, wall: datetime) -> Iterator[datetime]:
        """Iterate the wall times that match, later than one, as if clocks never changed."""
        walk = copy(self.fields)
        walk.dt = wall.replace(microsecond=0)
        return walk
