"""Whatever happens in whatever order, nothing is lost and nothing is done twice.

`ATTUNE_TEST_LONG=1` runs it for long. Both forms print the seed of their fresh part, which
`ATTUNE_SIMULATION_SEED` runs again.
"""

import os
import random

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.machine import Machine

LONG = os.environ.get("ATTUNE_TEST_LONG") == "1"
FIXED = 20261124
FRESH = int(os.environ.get("ATTUNE_SIMULATION_SEED") or random.SystemRandom().randrange(2**32))
TERMS = settings(
    max_examples=400 if LONG else 12,
    stateful_step_count=60 if LONG else 40,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink] if LONG else [Phase.generate],  # to shrink takes minutes
)
pytestmark = pytest.mark.timeout(7200 if LONG else 600)


@pytest.mark.parametrize("number", [FIXED, FRESH], ids=["fixed", "fresh"])
def test_nothing_is_lost_and_nothing_is_done_twice(simulated, number):
    print(f"seed: {number}")

    run_state_machine_as_test(seed(number)(Machine), settings=TERMS)
