"""What will happen in a run: a pure function of its seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.chaos.faults import FAULTS


@dataclass(frozen=True)
class Step:
    """After `calm` seconds a fault, for `lasts` seconds. `seed` decides what it chooses."""

    fault: str
    calm: float
    lasts: float
    seed: int


def plan(seed: int, names: Sequence[str], count: int) -> tuple[Step, ...]:
    """Return the steps of a run: each of the names once in some order, again until there are `count`."""
    random = Random(seed)
    chosen: list[str] = []
    while len(chosen) < count:
        chosen += random.sample(list(names), min(len(names), count - len(chosen)))
    return tuple(
        Step(
            name,
            round(random.uniform(0.3, 2.0), 2),
            round(random.uniform(*FAULTS[name].lasts), 2),
            random.getrandbits(32),
        )
        for name in chosen
    )
