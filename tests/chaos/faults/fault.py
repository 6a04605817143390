"""What a fault is: something that befalls a stage, lasts for a while, and is lifted."""

from random import Random
from typing import ClassVar

from tests.chaos.load import Load
from tests.chaos.stage import Stage


class Fault:
    """One kind of fault. An instance befalls once; what it chooses, its seed chooses.

    `lasts`: the fewest and the most seconds between inject and lift. `alarms`: a red check that begins with
    one of these names it; none: it is healed without anybody's being told. `short`: it is cheap enough for
    the short form.
    """

    name: ClassVar[str]
    lasts: ClassVar[tuple[float, float]] = (1.0, 4.0)
    alarms: ClassVar[tuple[str, ...]] = ()
    short: ClassVar[bool] = True

    def __init__(self, stage: Stage, load: Load, random: Random) -> None:
        self.stage = stage
        self.load = load
        self.random = random

    def inject(self) -> None:
        raise NotImplementedError

    def lift(self) -> None:
        """End it. One that heals by itself has nothing to do here."""
