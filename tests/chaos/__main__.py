"""`./attune chaos`: faults of a seeded plan befall a whole Attune on servers of its own; nothing may be lost.

Needs the packages postgresql and rabbitmq-server, and starts clusters of its own. Progress on standard error,
the report on standard output; exit code 1 when a promise was broken.
"""

import argparse
import json
import secrets
import signal
import sys
from collections.abc import Sequence
from typing import Any

from tests.chaos.campaign import Campaign, say
from tests.chaos.comparison import __main__ as comparison
from tests.chaos.faults import FAULTS, SHORT
from tests.chaos.plan import plan
from tests.chaos.report import markdown
from tests.chaos.servers import ServerError, Servers
from tests.chaos.stage import Stage

SHORT_FAULTS = 12
COMPARE = "--compare"  # the rest is the comparison's


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "attune chaos", description="Let faults befall a whole Attune under load; nothing may be lost."
    )
    parser.add_argument("--seed", type=int, help="repeat the run of this seed; without one, a fresh one")
    parser.add_argument(
        "--runs", type=int, default=1, help="so many, each with the seed after the last one's"
    )
    parser.add_argument(
        "--short", action="store_true", help=f"{SHORT_FAULTS} quick faults; < 3 minutes a run"
    )
    parser.add_argument("--count", type=int, help="so many faults in a run (all once)")
    parser.add_argument("--faults", help=f"only these, by commas: {', '.join(FAULTS)}")
    parser.add_argument("--plan", action="store_true", help="only print what would happen")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a run with its logs")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        COMPARE, action="store_true", help="do the same to plain Celery; see --compare --help"
    )
    asked = parser.parse_args(arguments)
    asked.names = names_of(parser, asked)
    asked.count = asked.count or (SHORT_FAULTS if asked.short else len(asked.names))
    return asked


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
    first = asked.seed if asked.seed is not None else secrets.randbelow(1_000_000)
    runs = [one_run(seed, asked) for seed in range(first, first + asked.runs)]
    print(json.dumps(runs, indent=2, default=str) if asked.json else markdown(runs), flush=True)
    return 0 if all(one["ok"] for one in runs) else 1


def one_run(seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    steps = plan(seed, asked.names, asked.count)
    say(f"seed {seed}: {', '.join(f'{one.fault} {one.lasts:g} s' for one in steps)}")
    told: dict[str, Any] = {"seed": seed, "names": asked.names, "count": asked.count, "ok": True}
    if asked.plan:
        return told
    servers = Servers()
    ok = False
    try:
        stage = Stage(servers)
        try:
            stage.prepare()
            stage.start()
            told |= Campaign(stage, steps).run()
            ok = told["ok"]
        finally:
            stage.close()
    finally:
        keep = asked.keep or not ok
        servers.close(keep=keep)
        if keep:
            say(f"logs are kept in {servers.folder.path}")
    say(f"seed {seed}: {'all is right' if ok else 'A PROMISE IS BROKEN'}, {told['account']['events']} events")
    return told


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ServerError as problem:
        say(str(problem))
        sys.exit(1)
    except KeyboardInterrupt:
        say("stopped")
        sys.exit(130)
