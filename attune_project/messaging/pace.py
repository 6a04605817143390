"""How long to gather rows between two calls of a step, and between two messages of a kind."""

ROW_SECONDS = 0.002
LONGEST_SECONDS = 0.02


def rest_after(rows: int) -> float:
    """Return for how many seconds to gather further rows after so many were dealt with at once.

    None after a single row: where rows come one by one, each is dealt with at once. At a pace of r rows a
    second, a round of T seconds deals with r T rows, so T = work + ROW_SECONDS (r T - 1). At 100 a second
    that is hardly more than the work; as r nears 1 / ROW_SECONDS it grows to the longest. A row of many is
    several times cheaper than one of a few, so what rests so has more of the machine left for others.
    """
    return min(LONGEST_SECONDS, max(0, rows - 1) * ROW_SECONDS)
