"""`./attune bench`: measure Attune beside a hand-written pipeline, on scratch databases.

Needs ATTUNE_BENCH_DATABASE_URL (a user with CREATEDB) and ATTUNE_BENCH_BROKER_URL; the launcher starts
embedded servers for what isn't given. JSON on standard output, progress on standard error; exit code 1 when
something that was measured had not done its work.
"""

import argparse
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

from benchmarks import stage
from benchmarks.bench import QUICK, Bench, Sizes, say
from benchmarks.cases import CASES
from benchmarks.errors import BenchmarkError, Incorrect
from benchmarks.machine import machine, versions
from benchmarks.profile import profile
from benchmarks.report import markdown
from benchmarks.servers import Server, broker_place

ADDRESSES = ("ATTUNE_BENCH_DATABASE_URL", "ATTUNE_BENCH_BROKER_URL")
STOPPED = 130
BIG_ROWS = (10_000, 1_000_000, 5_000_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for and print it; return the exit code."""
    asked = parse(arguments)
    signal.signal(signal.SIGTERM, _end)
    try:
        found = run(asked, *addresses())
    except BenchmarkError as error:
        say(str(error))
        return 1
    print(markdown(found) if asked.markdown else json.dumps(found, indent=2), flush=True)
    failed = [name for name, one in found["cases"].items() if "failed" in one]
    for name in failed:
        say(f"FAILED: {name}: {found['cases'][name]['failed']}")
    if "stopped" in found:
        say("stopped; these cases were measured: " + (", ".join(found["cases"]) or "none"))
        return STOPPED
    return 1 if failed else 0


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "attune bench", description="Measure this machine's Attune beside a hand-written pipeline."
    )
    parser.add_argument("--quick", action="store_true", help="a few minutes: less of everything")
    parser.add_argument("--big", action="store_true", help="lists at five million rows too; up to an hour")
    parser.add_argument(
        "--scale", type=_factor, default=1.0, help="do this part of the work (0.05: a smoke test)"
    )
    parser.add_argument("--case", action="extend", nargs="+", choices=list(CASES), metavar="NAME",
                        help=f"only these: {', '.join(CASES)}")  # fmt: skip
    parser.add_argument("--profile", action="store_true", help="where each event's time goes, too")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON (the default)")
    shape.add_argument("--markdown", action="store_true", help="print Markdown tables instead")
    return parser.parse_args(arguments)


def _factor(text: str) -> float:
    value = float(text)
    if not 0 < value <= 10:
        raise argparse.ArgumentTypeError("expected a number above 0, at most 10")
    return value


def addresses() -> tuple[str, str]:
    missing = [name for name in ADDRESSES if not os.environ.get(name)]
    if missing:
        raise BenchmarkError(
            f"{' and '.join(missing)} must be set; `./attune bench` starts servers of its own."
        )
    return os.environ[ADDRESSES[0]], os.environ[ADDRESSES[1]]


def sizes_of(asked: argparse.Namespace) -> Sizes:
    sizes = QUICK if asked.quick else Sizes()
    if asked.big:
        sizes = replace(sizes, rows=BIG_ROWS)
    return sizes if asked.scale == 1 else sizes.scaled(asked.scale)


def run(asked: argparse.Namespace, database: str, broker: str) -> dict[str, Any]:
    """Measure the cases that were asked for, in the order of CASES; one that fails doesn't end the others."""
    began = time.monotonic()
    server = Server(database)
    names = [name for name in CASES if not asked.case or name in asked.case]
    with server.database() as template, broker_place(broker) as place:
        found: dict[str, Any] = {"machine": machine(template), "versions": versions(template, place)}
        require_durable(found["machine"]["postgres"])
        say("preparing a database")
        stage.prepare(template)
        bench = Bench(server, place, template, sizes_of(asked))
        try:
            found |= measured_all(bench, names, asked.profile)
        finally:
            bench.close()
    return {**found, "seconds": round(time.monotonic() - began)}


def require_durable(settings: dict[str, str]) -> None:
    """Refuse a server whose commits promise nothing; one without fsync is told of in the result."""
    if settings["synchronous_commit"] != "on":
        raise BenchmarkError(f"the server's synchronous_commit is {settings['synchronous_commit']}, not on.")


def measured_all(bench: Bench, names: Sequence[str], with_profile: bool) -> dict[str, Any]:
    """Measure cases, then the profile; an interrupt keeps what was measured until then."""
    found: dict[str, Any] = {"cases": {}}
    try:
        for name in names:
            found["cases"][name] = measured(bench, name)
        if with_profile:
            found["profile"] = profile(bench)
    except KeyboardInterrupt:
        found["stopped"] = True
    return found


def measured(bench: Bench, name: str) -> dict[str, Any]:
    say(f"{name} ...")
    began = time.monotonic()
    try:
        found = CASES[name](bench)
    except Exception as problem:
        if not isinstance(problem, Incorrect):
            traceback.print_exc()
        say(f"{name}: failed: {problem}")
        bench.close()  # the services may be in any state
        return {"unit": "", "failed": f"{type(problem).__name__}: {problem}"}
    say(f"{name}: {found.get('median')} {found['unit']} ({time.monotonic() - began:.0f} s)")
    return found


def _end(number: int, frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("stopped")
        sys.exit(STOPPED)
