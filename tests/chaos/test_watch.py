"""Which alarm named a fault."""

import pytest

from tests.chaos.watch import Watch


@pytest.fixture
def watch() -> Watch:
    return Watch(None)  # type: ignore[arg-type]


def test_the_first_expected_alarm_names_a_fault(watch: Watch):
    watch.looks = [(1.0, {}), (3.0, {"other": ""}), (4.5, {"broker": "", "other": ""})]

    assert watch.named_after(2.0, ("broker",)) == (2.5, "broker")


def test_what_was_red_before_names_nothing(watch: Watch):
    watch.looks = [(1.0, {"broker": ""}), (3.0, {"broker": ""})]

    assert watch.named_after(2.0, ("broker",)) is None


def test_an_unexpected_alarm_names_nothing(watch: Watch):
    watch.looks = [(1.0, {}), (3.0, {"canary": ""})]

    assert watch.named_after(2.0, ("broker",)) is None
