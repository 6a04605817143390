"""`./attune chaos`: faults of a seeded plan befall a whole Attune on servers of its own; nothing may be lost.

Needs the packages postgresql and rabbitmq-server, and starts clusters of its own. Progress on standard error,
the report on standard output; exit code 1 when a promise was broken, a fault did not befall, a service did
not recover, or an alarm stayed.
"""

import argparse
import json
import secrets
import signal
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.campaign import Campaign, say
from tests.chaos.comparison import __main__ as comparison
from tests.chaos.faults import FAULTS, SHORT
from tests.chaos.plan import Step, plan
from tests.chaos.report import markdown
from tests.chaos.servers import ServerError, Servers
from tests.chaos.stage import Stage

SHORT_FAULTS = 12
COMPARE = "--compare"  # the rest is the comparison's


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "attune chaos", description="Let faults befall a whole Attune under load; nothing may be lost."
    )
    parser.add_argument(
        "--seed", nargs="+", type=seed_of, default=[seed_of("fresh")], metavar="N",
        help="repeat the run of this seed, or of several; `fresh`: one that is drawn now (default)",
    )  # fmt: skip
    parser.add_argument(
        "--runs", type=int, default=1, help="so many of each seed, each with the seed after the last one's"
    )
    parser.add_argument(
        "--short", action="store_true", help=f"{SHORT_FAULTS} quick faults; < 3 minutes a run"
    )
    parser.add_argument("--count", type=int, help="so many faults in a run (all once)")
    parser.add_argument("--faults", help=f"only these, by commas: {', '.join(FAULTS)}")
    parser.add_argument("--plan", action="store_true", help="only print what would happen")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a run with its logs")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--out", type=Path, help="append a line of JSON to this file after each run")
    parser.add_argument(
        COMPARE, action="store_true", help="do the same to plain Celery; see --compare --help"
    )
    asked = parser.parse_args(arguments)
    asked.seeds = [one for first in asked.seed for one in seeds_from(first, asked.runs)]
    asked.names = names_of(parser, asked)
    asked.count = asked.count or (SHORT_FAULTS if asked.short else len(asked.names))
    return asked


def seed_of(text: str) -> int:
    return secrets.randbelow(1_000_000) if text == "fresh" else int(text)


def seeds_from(first: int, runs: int) -> range:
    return range(first, first + runs)


def names_of(parser: argparse.ArgumentParser, asked: argparse.Namespace) -> list[str]:
    if not asked.faults:
        return list(SHORT if asked.short else FAULTS)
    names = [name.strip() for name in asked.faults.split(",")]
    for name in names:
        if name not in FAULTS:
            parser.error(f"no fault is called {name!r}; there are {', '.join(FAULTS)}")
    return names


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if COMPARE in given:
        comparison.main([one for one in given if one != COMPARE])
        return 0
    asked = parse(given)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    runs = list(planned(asked) if asked.plan else happened(asked))
    print(json.dumps(runs, indent=2, default=str) if asked.json else markdown(runs), flush=True)
    return 0 if all(one["ok"] for one in runs) else 1


def planned(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for seed in asked.seeds:
        announce(seed, plan(seed, asked.names, asked.count))
        yield {"seed": seed, "names": asked.names, "count": asked.count, "ok": True}


def happened(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield what came of each seed. Runs follow one another on one Attune until one breaks something."""
    seeds = deque(asked.seeds)
    while seeds:
        with opened(asked.keep) as (stage, blame):
            while seeds and not blame:
                told = one_run(stage, seeds.popleft(), asked)
                if asked.out:
                    with asked.out.open("a") as out:
                        out.write(json.dumps(told, default=str) + "\n")
                if not told["ok"]:
                    blame.append(told["seed"])
                yield told


@contextmanager
def opened(keep: bool) -> Iterator[tuple[Stage, list[int]]]:
    """Yield a stage that is well, and a list of the seeds to blame: with one in it, the folder is kept."""
    servers = Servers()
    blame: list[int] = []
    try:
        stage = Stage(servers)
        try:
            stage.prepare()
            stage.start()
            yield stage, blame
        finally:
            stage.close()
    finally:
        servers.close(keep=keep or bool(blame))
        if keep or blame:
            say(f"logs are kept in {servers.folder.path}")


def one_run(stage: Stage, seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    steps = plan(seed, asked.names, asked.count)
    announce(seed, steps)
    told: dict[str, Any] = {"seed": seed, "names": asked.names, "count": asked.count}
    try:
        told |= Campaign(stage, steps).run()
    except Exception as problem:
        say(traceback.format_exc())
        return told | {"ok": False, "error": f"{type(problem).__name__}: {problem}"}
    said = "all is right" if told["ok"] else "NOT RIGHT"
    say(f"seed {seed}: {said}, {told['events']} events, {len(steps)} faults, {told['seconds']} s")
    return told


def announce(seed: int, steps: Sequence[Step]) -> None:
    say(f"seed {seed}: {', '.join(f'{one.fault} {one.lasts:g} s' for one in steps)}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ServerError as problem:
        say(str(problem))
        sys.exit(1)
    except KeyboardInterrupt:
        say("stopped")
        sys.exit(130)
