"""Measure how fast policies admit, and whether slots hold exactly, with ten thousand waiting.

    python -m benchmarks.policies --waiting 10000 --groups 1 --threshold 100 --executors 2 --workers 1

Needs ATTUNE_TEST_DATABASE_URL (a full PostgreSQL): it works in a database of its own. Executors and workers
are processes that run the product's own steps (settle and admit; claim and store ends) as fast as they can,
without actions and without a broker; a watcher samples the slots of each group all the while. Prints JSON:
admissions per second of the database's clock from the first to the last, the most slots that any group held
at any look, and what check_invariants finds at the end.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

DEADLINE = 600.0


def main() -> None:
    arguments = parse()
    if arguments.role:
        play(arguments.role)
        return
    from tests.integration.servers import fresh_database

    with fresh_database() as database:
        os.environ.update(environment(database))
        start_django()
        print(json.dumps(measure(arguments), indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--waiting", type=int, default=10_000, help="executions that wait at the start")
    parser.add_argument("--groups", type=int, default=1, help="groups that they belong to")
    parser.add_argument("--threshold", type=int, default=100, help="slots of each group")
    parser.add_argument("--executors", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--role", choices=sorted(ROLES), help=argparse.SUPPRESS)
    return parser.parse_args()


def environment(database: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database,
        "BROKER_URL": "memory://",
        "ATTUNE_ENV": "test",
        "DJANGO_SETTINGS_MODULE": "attune_project.settings",
    }


def start_django() -> None:
    import django

    django.setup()
    from attune_project.messaging import publisher
    from attune_project.messaging.fake import FakePublisher

    publisher.use(FakePublisher())


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    from executions.models import Policy

    store(arguments.waiting, arguments.groups)
    Policy.objects.update(threshold=arguments.threshold)
    players = [start("executor") for _ in range(arguments.executors)]
    players += [start("worker") for _ in range(arguments.workers)]
    try:
        most = watch(arguments.waiting)
    finally:
        for player in players:
            player.kill()
            player.wait()
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
    return {**report(), "most_held_by_a_group": most, "asked": vars(arguments), **machine}


def store(waiting: int, groups: int) -> None:
    """Store what waits: nothing may start before the threshold is raised but one of each group."""
    from attune_project.packs.models import Pack
    from executions.models import Action, Policy
    from executions.requesting import Wanted, request_executions

    pack = Pack.objects.create(ref="bench", label="Bench", version="1.0.0")
    action = Action.objects.create(
        ref="bench.echo", pack=pack, pack_ref="bench", label="x", entrypoint="echo",
        runtime_ref="core.builtin",
    )  # fmt: skip
    Policy.objects.create(ref="bench.limit", action_ref=action.ref, threshold=1, parameters=["host"])
    began = time.monotonic()
    for start_at in range(0, waiting, 500):
        numbers = range(start_at, min(waiting, start_at + 500))
        request_executions([Wanted(action, {"host": n % groups}, uuid.uuid4()) for n in numbers])
    print(f"stored {waiting / (time.monotonic() - began):.0f}/s", file=sys.stderr)


def start(role: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.policies", "--role", role])


def watch(count: int) -> int:
    """Sample the slots until all have ended; return the most that any group held."""
    most, ends = 0, time.monotonic() + DEADLINE
    while one("SELECT count(*) FROM execution WHERE finished_at IS NOT NULL") < count:
        assert time.monotonic() < ends, "it doesn't end"
        for _ in range(20):
            most = max(most, one(
                "SELECT COALESCE(max(held), 0) FROM"
                " (SELECT count(*) AS held FROM policy_slot GROUP BY policy_id, group_key) groups"
            ))  # fmt: skip
            time.sleep(0.01)
    return most


def report() -> dict[str, Any]:
    from attune_project.console.invariants import violations
    from executions import lifecycle

    while lifecycle.settle(500):
        pass
    seconds = one(
        "SELECT extract(epoch FROM max(scheduled_at) - min(scheduled_at)) FROM execution"
        " WHERE status = 'completed'"
    )
    admitted = one("SELECT count(*) FROM execution WHERE status = 'completed'")
    return {
        "admissions": admitted,
        "admissions_per_second": round(admitted / float(seconds)),
        "slots_left": one("SELECT count(*) FROM policy_slot"),
        "broken": [found.invariant.name for found in violations(30)],
    }


def one(statement: str) -> Any:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def play(role: str) -> None:
    """Be a process of the product for ever: the bench ends it."""
    start_django()
    step = ROLES[role]()
    while True:
        if not step():
            time.sleep(0.002)


def executor() -> Callable[[], int]:
    """Return an executor's step: settle when something has ended, as if rung; the clock twice a second."""
    from executions import clock, lifecycle

    due = 0.0

    def step() -> int:
        nonlocal due
        if time.monotonic() >= due:
            clock.admit_by_policies()
            due = time.monotonic() + 0.5
        return lifecycle.settle(500)

    return step


def worker() -> Callable[[], int]:
    """Return a worker's step: claim in bulk, and end at once."""
    from attune_project.packs.models import Worker
    from executions import lifecycle
    from executions.lifecycle import Claimant, Ended

    row = Worker.objects.create(name=f"bench-{uuid.uuid4().hex[:8]}", capabilities={"labels": {}})

    def step() -> int:
        claimed = lifecycle.claim(Claimant(row.pk), 200, ["core.echo", "echo"], inline=True)
        lifecycle.finish([Ended(each.id, each.token, "completed", {"exit_code": 0}) for each in claimed])
        return len(claimed)

    return step


ROLES: dict[str, Callable[[], Callable[[], int]]] = {"executor": executor, "worker": worker}

if __name__ == "__main__":
    main()
