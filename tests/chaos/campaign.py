"""One run: a plan of faults befalls an Attune under load, then all must be right."""

import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from tests.chaos.account import account, as_json, mark, owed
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.load import Load
from tests.chaos.plan import Step
from tests.chaos.stage import Stage
from tests.chaos.watch import Watch
from tests.integration.spine import until

RECOVERS = 90.0  # seconds after which one that has not recovered is said to be stuck
QUIET = 150.0


@dataclass
class Befallen:
    """What came of one fault; times in seconds."""

    fault: str
    lasted: float
    recovered: float | None = (
        None  # from its end until what was owed then was done; None: not within RECOVERS
    )
    detected: float | None = None  # from its beginning until health named it
    named: str | None = None
    expected: tuple[str, ...] = ()
    owed: int = 0
    problem: str | None = None
    red: dict[str, str] = field(default_factory=dict)  # what was red when it had not recovered


def say(text: str) -> None:
    print(f"chaos: {text}", file=sys.stderr, flush=True)


class Campaign:
    """Runs the steps of a plan on a stage."""

    def __init__(self, stage: Stage, steps: Sequence[Step]) -> None:
        self._stage = stage
        self._steps = steps
        self._load = Load(stage.spine.port, stage.token, stage.journal)
        self._watch = Watch(stage.spine)
        self.set_aside = 0

    def run(self) -> dict[str, Any]:
        began = time.monotonic()
        events, unanswered = self._load.journal.total(), self._load.journal.unanswered
        self._tick(True)
        self._load.start()
        self._watch.start()
        faults = [self._befall(number, step) for number, step in enumerate(self._steps, start=1)]
        quiet = self._quiesce()
        self._watch.stop()
        time.sleep(1.0)
        accounted = as_json(
            account(self._stage.spine, self._load.journal, self._stage.folder / "artifacts" / "marks")
        )
        invariants = self._stage.invariants()
        cleared = self._watch.looks[-1][1] == {}
        befell = all(one.problem is None and one.recovered is not None for one in faults)
        return {
            "events": self._load.journal.total() - events,
            "seconds": round(time.monotonic() - began, 1),
            "faults": [asdict(one) for one in faults],
            "quiesced": quiet,
            "cleared": cleared,
            "red_at_end": self._watch.looks[-1][1],
            "account": accounted,
            "invariants": invariants,
            "set_aside": self.set_aside,
            "unanswered": self._load.journal.unanswered - unanswered,
            "restarts": self._stage.restarts,
            "ok": accounted["right"] and not invariants and quiet and cleared and befell,
        }

    def _befall(self, number: int, step: Step) -> Befallen:
        time.sleep(step.calm)
        kind = FAULTS[step.fault]
        fault = kind(self._stage, self._load, Random(step.seed))
        began = time.monotonic()
        told = Befallen(step.fault, step.lasts, expected=kind.alarms)
        if self._inject(fault, told):
            time.sleep(step.lasts)
        self._lift(fault, told)
        ended = time.monotonic()
        told.lasted = round(ended - began, 1)
        self._recover(told, ended)
        seen = self._watch.named_after(began, kind.alarms) if kind.alarms else None
        if seen:
            told.detected, told.named = round(seen[0], 1), seen[1]
        said = "NOT RECOVERED" if told.recovered is None else f"recovered in {told.recovered} s"
        say(f"{number}/{len(self._steps)} {step.fault}, {told.lasted} s: {said}, owed {told.owed}"
            f"{f', named by {told.named} in {told.detected} s' if seen else ''}"
            f"{f': {told.problem}' if told.problem else ''}")  # fmt: skip
        return told

    def _inject(self, fault: Fault, told: Befallen) -> bool:
        try:
            fault.inject()
        except Exception as problem:
            told.problem = f"not injected: {type(problem).__name__}: {problem}"
            say(traceback.format_exc())
            return False
        return True

    def _lift(self, fault: Fault, told: Befallen) -> None:
        try:
            fault.lift()
        except Exception as problem:
            told.problem = told.problem or f"not lifted: {type(problem).__name__}: {problem}"
            say(traceback.format_exc())

    def _recover(self, told: Befallen, ended: float) -> None:
        """Wait until what is owed at the end of a fault is done."""
        there = mark(self._stage.spine)
        told.owed = owed(self._stage.spine, there)
        if until(lambda: owed(self._stage.spine, there) == 0, RECOVERS, step=0.1):
            told.recovered = round(time.monotonic() - ended, 1)
        else:
            told.red = self._watch.red()

    def _quiesce(self) -> bool:
        """Let producers finish, and wait until nothing is owed and nothing is red."""
        sent = self._load.stop()
        if not sent:
            say("producers could not finish")
        self._tick(False)
        rested = until(lambda: owed(self._stage.spine, mark(self._stage.spine)) == 0, 20, step=0.5)
        self.set_aside = self._clear_dead_letters()
        rested = rested or until(
            lambda: owed(self._stage.spine, mark(self._stage.spine)) == 0, QUIET, step=0.5
        )
        until(lambda: not self._watch.red(), 60, step=1.0)
        return sent and rested

    def _tick(self, on: bool) -> None:
        self._stage.spine.sql("UPDATE attune.rule SET enabled = %s WHERE ref = 'ch.ticking'", [on])

    def _clear_dead_letters(self) -> int:
        """Do what an operator does about dead letters; return how many rows had been set aside."""
        count = self._stage.spine.one("SELECT count(*) FROM attune.dead_letter WHERE step IS NOT NULL")
        for verb in ("redrive", "discard"):
            done = self._stage.spine.manage("dead_letters", verb, "--all", check=False)
            if done.returncode:
                say(f"dead_letters {verb}: {done.stderr.strip()[-300:]}")
        return int(count)
