"""`./attune chaos --compare [--systems a,b] [--faults a,b] [--events N] [--json FILE]`.

Each system does the same work on servers of its own: events come at a steady rate, a fault happens among
them, and when nothing comes any more each accepted event is looked up. Nobody repairs anything by hand; a
process that dies is started again, as any supervisor does.
"""

import argparse
import atexit
import json
import os
import shlex
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.chaos.comparison.faults import FAULTS, Fault, Scene
from tests.chaos.comparison.systems import Attune, PlainCelery, System
from tests.integration.servers import Node, database_address, fresh_database, on_server, own_rabbitmq
from tests.integration.spine import until

SYSTEMS = ("defaults", "lossless", "attune")
RATE = 15.0  # events per second: more than the workers' 2 at once, so that there is a backlog
BEFORE = 1.5  # seconds of load before the fault
QUIET = 20.0  # seconds without anything new, after which nothing more is expected
LONGEST = 180.0


@dataclass
class Outcome:
    """What became of the events that were accepted. `starts` of more than one are work done again."""

    system: str
    fault: str
    accepted: int
    lost: int  # without a result, and without a word
    told: int  # without a result, and a row says so and why
    doubled: int  # a second result
    ran_twice: int  # to its end, outside too
    most_starts: int  # of one event
    seconds: float  # from the fault's end until the last result


def compare(names: list[str], faults: list[Fault], events: int) -> Iterator[Outcome]:
    """Yield what came of each fault in each system."""
    with tempfile.TemporaryDirectory(prefix="attune-compared-") as folder, own_rabbitmq(Path(folder)) as node:
        os.environ["ATTUNE_TEST_DATABASE_URL"] = _database_beside(Path(folder))
        for name in names:
            for fault in faults:
                home = Path(folder) / f"{name}-{fault.name}"
                home.mkdir()
                with _started(name, node, home) as (system, database):
                    yield _measured(Scene(system, node, database, 1), fault, events)
        atexit.unregister(on_server)  # the server goes with all that is in it


def _database_beside(folder: Path) -> str:
    """Return the address of the PostgreSQL that was started with the broker of this folder."""
    exports = (folder / "services.sh").read_text().splitlines()
    line = next(one for one in exports if "ATTUNE_TEST_DATABASE_URL" in one)
    return shlex.split(line)[1].partition("=")[2]


@contextmanager
def _started(name: str, node: Node, home: Path) -> Iterator[tuple[System, str]]:
    with _database(name) as address:
        attune = name == "attune"
        system: System = Attune(node, address, home) if attune else PlainCelery(name, node, address, home)
        try:
            system.start()
            yield system, address.rpartition("/")[2]
        finally:
            system.stop()


@contextmanager
def _database(name: str) -> Iterator[str]:
    if name == "attune":
        with fresh_database() as address:
            yield address
        return
    database = f"compared_{uuid.uuid4().hex[:10]}"
    on_server(f"CREATE DATABASE {database}")
    try:
        yield database_address(database)
    finally:
        on_server(f"DROP DATABASE {database} WITH (FORCE)")


def _measured(scene: Scene, fault: Fault, events: int) -> Outcome:
    numbers = [-n if fault.poison and n % (events // fault.poison) == 0 else n for n in range(1, events + 1)]
    sender = threading.Thread(target=_send, args=(scene.system, numbers))
    sender.start()
    time.sleep(BEFORE)
    fault.happen(scene)
    ended = time.monotonic()
    sender.join()
    good = {n for n in numbers if n > 0}
    last = _settle(scene.system, good)
    results, starts, ends = scene.system.results(), scene.system.starts(), scene.system.ends()
    missing, told = {n for n in good if not results[n]}, scene.system.told()
    return Outcome(
        scene.system.name,
        fault.name,
        accepted=len(good),
        lost=len(missing - told),
        told=len(missing & told),
        doubled=sum(results[n] > 1 for n in good),
        ran_twice=sum(ends[n] > 1 for n in good),
        most_starts=max(starts.values(), default=0),
        seconds=round(max(0.0, last - ended), 1),
    )


def _send(system: System, numbers: list[int]) -> None:
    """Send each event until it is accepted, as a careful sender does."""
    began = time.monotonic()
    for place, n in enumerate(numbers):
        time.sleep(max(0.0, began + place / RATE - time.monotonic()))
        assert until(lambda n=n: system.accept(n), LONGEST, step=0.5), f"{n} was never accepted"


def _settle(system: System, wanted: set[int]) -> float:
    """Wait until each has its result, or nothing new has come for long; return when the last one came."""
    seen: Counter[int] = Counter()
    changed = time.monotonic()
    ends = changed + LONGEST
    while time.monotonic() < ends:
        found = system.results() + system.starts()
        if found != seen:
            seen, changed = found, time.monotonic()
        quiet = time.monotonic() - changed
        if quiet > QUIET or (quiet > 3 and wanted <= system.results().keys() | system.told()):
            break
        time.sleep(0.5)
    return changed


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes side by side, in Markdown."""
    names = list(dict.fromkeys(one.system for one in outcomes))
    by = {(one.system, one.fault): one for one in outcomes}
    lines = [
        "| fault | "
        + " | ".join(f"{name}: lost / told / second result / ran twice" for name in names)
        + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for fault in dict.fromkeys(one.fault for one in outcomes):
        cells = [by.get((name, fault)) for name in names]
        texts = [
            f"{one.lost} / {one.told} / {one.doubled} / {one.ran_twice}" if one else "-" for one in cells
        ]
        lines.append(f"| {fault} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="attune chaos --compare")
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--faults", default=",".join(fault.name for fault in FAULTS))
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    wanted = options.faults.split(",")
    outcomes = []
    for one in compare(options.systems.split(","), [f for f in FAULTS if f.name in wanted], options.events):
        outcomes.append(one)
        print(json.dumps(asdict(one)), flush=True)
        if options.json:
            options.json.write_text(json.dumps([asdict(each) for each in outcomes], indent=1))
    print(table(outcomes))


if __name__ == "__main__":
    main()
