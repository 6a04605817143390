"""What an invariant is."""

from dataclasses import dataclass

CONSUMER = "see /health/detailed for its probe and poll"


@dataclass(frozen=True)
class Invariant:
    """`query` returns the offending rows.

    In it `:age` is since when something may be under way, `:lease` how long a lease lasts, `:ended` the
    statuses of what has ended, `:constraints` the names of the constraints that the models declare. `of` is
    the admin page of what its column `id` names.
    """

    name: str
    promise: str
    remedy: str
    query: str
    of: str | None = None
