"""`manage.py worker list|cordon|uncordon|drain|forget`: what operators do to workers, without the API."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from attune_project.packs import workers
from attune_project.packs.models import Worker
from attune_project.packs.worker_state import with_load, with_state

HEADS = ("ID", "NAME", "POOL", "STATE", "RUNNING", "SLOTS", "HOST", "HEARD")
LOOK_SECONDS = 0.5


class Command(BaseCommand):
    help = "List, cordon, uncordon, drain and forget workers."

    def add_arguments(self, parser: CommandParser) -> None:
        words = parser.add_subparsers(dest="word", required=True)
        words.add_parser("list", help="list the workers")
        for word, text in (
            ("cordon", "let a worker take nothing new"),
            ("uncordon", "let it take work again"),
            ("drain", "let it finish what it runs, and end"),
            ("forget", "delete the row of one that has ended"),
        ):
            one = words.add_parser(word, help=text)
            one.add_argument("worker", help="its name or id")
            if word in ("cordon", "drain"):
                one.add_argument("--reason", help="shown wherever the worker is")
            if word == "drain":
                one.add_argument("--wait", action="store_true", help="return once it has ended")

    def handle(self, *args: Any, word: str, **options: Any) -> None:
        if word == "list":
            self._list()
            return
        worker = workers.named(options["worker"])
        if worker is None:
            raise CommandError(f"No worker {options['worker']!r}: see `worker list`.")
        if word == "cordon":
            workers.cordon(worker, by=None, reason=options["reason"])
        elif word == "uncordon":
            workers.uncordon(worker)
        elif word == "drain":
            workers.drain(worker, by=None, reason=options["reason"])
        else:
            self._forget(worker)
        if word == "drain" and options["wait"]:
            self._wait(worker)
        self.stdout.write(f"{worker.name}: {self._state(worker) if word != 'forget' else 'forgotten'}")

    def _list(self) -> None:
        rows = with_load(with_state(Worker.objects.order_by("pool", "name")))
        lines = [HEADS, *(self._line(row) for row in rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
        for line in lines:
            self.stdout.write(
                "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
            )

    def _line(self, row: Any) -> tuple[str, ...]:
        state = "draining" if row.drain_requested_at and row.health_state == "cordoned" else row.health_state
        heard = "never" if row.heartbeat_age_seconds is None else f"{row.heartbeat_age_seconds:.0f} s ago"
        most = row.load.max_concurrent_executions
        return (
            str(row.pk), row.name, row.pool or "default", state, str(row.load.running),
            "?" if most is None else str(most), row.host or "?", heard,
        )  # fmt: skip

    def _forget(self, worker: Worker) -> None:
        try:
            workers.forget(worker)
        except workers.StillAlive as problem:
            raise CommandError(str(problem)) from None

    def _wait(self, worker: Worker) -> None:
        """Wait for its end; a worker that falls silent has ended, too."""
        while not workers.ended(Worker.objects.filter(pk=worker.pk)).exists():
            if not Worker.objects.filter(pk=worker.pk).exists():
                return
            time.sleep(LOOK_SECONDS)

    def _state(self, worker: Worker) -> str:
        row: Any = with_state(Worker.objects.filter(pk=worker.pk)).first()
        if row is None:
            return "gone"
        draining = row.drain_requested_at is not None and row.health_state == "cordoned"
        return "draining" if draining else str(row.health_state)
