"""Look for rows that break a promise."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from attune_project.console.invariants import INVARIANTS, Violation, violations


class Command(BaseCommand):
    help = "Check what must hold of events, enforcements and executions; exit 1 when something doesn't."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print a JSON list, empty when all is well")
        parser.add_argument(
            "--seconds", type=float, default=30, help="how long something may be under way (default 30)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = violations(options["seconds"])
        if options["json"]:
            self.stdout.write(json.dumps([as_json(one) for one in found], default=str))
        else:
            self._tell(found)
        if found:
            raise SystemExit(1)

    def _tell(self, found: list[Violation]) -> None:
        for one in found:
            self.stdout.write(f"{one.invariant.name}: {one.invariant.promise} {one.count} rows break this.")
            self.stdout.write(f"  What to do: {one.invariant.remedy}")
            for row in one.rows:
                self.stdout.write("  " + "  ".join(f"{name}={value}" for name, value in row.items()))
            if one.count > len(one.rows):
                self.stdout.write(f"  ... and {one.count - len(one.rows)} more")
        if not found:
            self.stdout.write(f"All {len(INVARIANTS)} invariants hold.")


def as_json(one: Violation) -> dict[str, Any]:
    invariant = one.invariant
    return {
        "name": invariant.name,
        "promise": invariant.promise,
        "remedy": invariant.remedy,
        "count": one.count,
        "rows": one.rows,
    }
