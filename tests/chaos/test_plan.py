"""A seed says everything that will happen."""

from tests.chaos.faults import FAULTS, SHORT
from tests.chaos.plan import plan


def test_a_seed_gives_the_same_plan_each_time():
    assert plan(7, SHORT, 12) == plan(7, SHORT, 12)


def test_another_seed_gives_another_plan():
    assert plan(7, SHORT, 12) != plan(8, SHORT, 12)


def test_each_fault_comes_once_before_any_comes_again():
    names = [step.fault for step in plan(3, list(FAULTS), len(FAULTS))]

    assert sorted(names) == sorted(FAULTS)


def test_each_fault_lasts_as_long_as_its_kind_may():
    for step in plan(5, list(FAULTS), 3 * len(FAULTS)):
        least, most = FAULTS[step.fault].lasts

        assert least <= step.lasts <= most
