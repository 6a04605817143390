"""What a network does between services and their servers."""

from typing import ClassVar

from tests.chaos.faults.fault import Fault
from tests.chaos.proxy import DOWN, UP, ChaosProxy

OF = {
    "database": ("database", "unreachable", "owed:", "poll:", "probe:", "canary", "status"),
    "broker": ("broker", "publish", "probe:", "topology", "poll:", "owed:", "canary"),
}


class Network(Fault):
    server: ClassVar[str]
    lasts = (2.0, 8.0)

    @property
    def proxy(self) -> ChaosProxy:
        proxy: ChaosProxy = getattr(self.stage, self.server)
        return proxy

    def lift(self) -> None:
        self.proxy.calm()


class Cut(Network):
    """Every connection is reset at once; new ones are taken."""

    lasts = (0.5, 2.0)

    def inject(self) -> None:
        self.proxy.cut()


class Refuse(Network):
    def inject(self) -> None:
        self.proxy.refuse()


class Delay(Network):
    def inject(self) -> None:
        self.proxy.delay(self.random.uniform(0.05, 0.3), self.random.uniform(0.0, 0.2))


class SwallowAnswers(Network):
    """Requests arrive and their answers don't: nobody knows what was committed."""

    lasts = (3.0, 12.0)

    def inject(self) -> None:
        self.proxy.swallow(DOWN)


class SwallowRequests(Network):
    lasts = (3.0, 12.0)

    def inject(self) -> None:
        self.proxy.swallow(UP)


class Hold(Network):
    def inject(self) -> None:
        self.proxy.hold()


class HalfClose(Network):
    def inject(self) -> None:
        self.proxy.half_close(self.random.choice((UP, DOWN)))


class CutWithin(Network):
    """A connection is reset in the middle of what it says."""

    def inject(self) -> None:
        self.proxy.cut_after(self.random.randrange(1, 20_000), self.random.choice((UP, DOWN)))


KINDS = {
    "cut": Cut, "refuse": Refuse, "delay": Delay, "swallow-answers": SwallowAnswers,
    "swallow-requests": SwallowRequests, "hold": Hold, "half-close": HalfClose, "cut-within": CutWithin,
}  # fmt: skip
LOUD = ("refuse", "swallow-answers", "swallow-requests", "hold")
FAULTS = [
    type(
        f"{kind.__name__}{server.title()}",
        (kind,),
        {
            "name": f"{server}-{verb}",
            "server": server,
            "alarms": OF[server] if verb in LOUD else (),
            "short": "swallow" not in verb or server == "broker",
        },
    )
    for server in OF
    for verb, kind in KINDS.items()
]
