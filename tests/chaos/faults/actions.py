"""Actions that behave badly, and more work than fits."""

from typing import ClassVar

from tests.chaos.faults.fault import Fault


class BadAction(Fault):
    """Some events whose action does what it should not."""

    trigger: ClassVar[str]
    count: ClassVar[int] = 2
    lasts = (1.0, 3.0)

    def inject(self) -> None:
        self.load.once(self.trigger, self.count)


class Backlog(Fault):
    """Many events at once."""

    name = "backlog"
    count: ClassVar[int] = 1_000

    def inject(self) -> None:
        self.load.backlog("ch.instant", self.count)


class BigBacklog(Backlog):
    name = "backlog-big"
    count = 100_000
    short = False


KINDS = {"forking": True, "deaf": True, "mute": True, "hungry": True, "noisy": False}
FAULTS = [
    Backlog,
    BigBacklog,
    *(
        type(
            f"{kind.title()}Action",
            (BadAction,),
            {"name": f"action-{kind}", "trigger": f"ch.{kind}", "short": short},
        )
        for kind, short in KINDS.items()
    ),
]
