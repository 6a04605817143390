"""Wall clocks: what a wall time names when the clock skips it or shows it twice."""

from datetime import UTC, datetime

import pytest

from sensors.wallclock import instant_of, last_change, next_change, zone

BERLIN_FORWARD = datetime(2026, 3, 29, 1, tzinfo=UTC)
BERLIN_BACK = datetime(2026, 10, 25, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "wall", "expected"),
    [
        ("Europe/Berlin", datetime(2026, 6, 1, 12), datetime(2026, 6, 1, 10)),
        ("Europe/Berlin", datetime(2026, 3, 29, 2, 30), datetime(2026, 3, 29, 1)),
        ("Europe/Berlin", datetime(2026, 3, 29, 2, 59, 59, 999999), datetime(2026, 3, 29, 1)),
        ("Europe/Berlin", datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 0, 30)),
        ("Australia/Lord_Howe", datetime(2026, 10, 4, 2, 15), datetime(2026, 10, 3, 15, 30)),
        ("Pacific/Apia", datetime(2011, 12, 30, 12), datetime(2011, 12, 30, 10)),
    ],
)
def test_wall_time_names_an_instant(name: str, wall: datetime, expected: datetime) -> None:
    assert instant_of(wall, zone(name)) == expected.replace(tzinfo=UTC)


def test_changes_are_found_to_the_second() -> None:
    berlin = zone("Europe/Berlin")

    found = next_change(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC), berlin)

    assert found == BERLIN_FORWARD
    assert next_change(found, BERLIN_BACK, berlin) == BERLIN_BACK
    assert last_change(datetime(2027, 1, 1, tzinfo=UTC), berlin) == BERLIN_BACK


def test_a_zone_without_changes_has_none() -> None:
    kolkata = zone("Asia/Kolkata")

    found = next_change(datetime(2026, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC), kolkata)

    assert found is None


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "Europe", "", "/etc/localtime"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(KeyError):
        zone(name)
