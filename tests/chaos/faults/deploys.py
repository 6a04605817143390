"""What operators do: a rolling restart, one beat too many, clocks that differ."""

from pathlib import Path

from tests.chaos.faults.fault import Fault
from tests.integration.spine import SERVICES

LIBRARIES = ("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
             "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1")  # fmt: skip


class RollingRestart(Fault):
    """Every service is restarted, one after another, while work is under way."""

    name = "rolling-restart"
    lasts = (0.0, 1.0)

    def inject(self) -> None:
        for name in self.random.sample(SERVICES, len(SERVICES)):
            self.stage.replace(name)


class TwoBeats(Fault):
    name = "two-beats"
    lasts = (20.0, 25.0)  # of which its start takes some

    def inject(self) -> None:
        self.stage.launch_another("beat:2")

    def lift(self) -> None:
        self.stage.end("beat:2")


class ClockStep(Fault):
    """A service whose clock is wrong: restarted under libfaketime, and back at the end."""

    name = "clock-step"
    lasts = (10.0, 20.0)

    def inject(self) -> None:
        self.service = self.random.choice(("executor", "worker", "sensor"))
        library = next((path for path in LIBRARIES if Path(path).exists()), None)
        if library is None:
            raise NotImplementedError("libfaketime isn't installed (package faketime)")
        hours = self.random.choice(("-1h", "+1h", "+120s", "-120s"))
        self.stage.replace(self.service, LD_PRELOAD=library, FAKETIME=hours, FAKETIME_DONT_FAKE_MONOTONIC="1")

    def lift(self) -> None:
        self.stage.replace(self.service)


FAULTS = [RollingRestart, TwoBeats, ClockStep]
