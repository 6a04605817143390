"""`manage.py retention`."""

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from attune_project.console.retention import sweeping
from attune_project.console.retention.limits import current


class Command(BaseCommand):
    help = (
        "Delete history that is older than its limit, as the executor does by its clock; also when that is"
        " switched off. Safe while services run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count what would go, delete nothing")
        parser.add_argument("--once", action="store_true", help="one batch of each table only")

    def handle(self, *args: Any, **options: Any) -> None:
        total = Counter[str]()
        try:
            for counts in sweeping.sweep(dry=options["dry_run"], once=options["once"]):
                total += counts
        except sweeping.Busy as problem:
            raise CommandError(f"{problem}; gone until then: {_words(total)}") from None
        limits = current()
        verb = "would go" if options["dry_run"] else "deleted"
        self.stdout.write(
            f"{_words(total)} {verb} (runtime: {limits.runtime_days} days, audit: {limits.audit_days} days)"
        )


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {table}" for table, count in sorted(counts.items()) if count) or "nothing"
