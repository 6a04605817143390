"""Look for rows that break a promise."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from attune_project.console.invariants import INVARIANTS, Invariant, Violation, check

VIOLATED = 1
NOT_TOLD = 2  # something could not be looked at, and of the rest nothing is broken


class Command(BaseCommand):
    help = (
        "Check what must hold of events, enforcements and executions. Changes nothing. Exit status: 0 when"
        " all is well, 1 when a promise is broken, 2 when that could not be told."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print a JSON list, empty when all is well")
        parser.add_argument("--list", action="store_true", help="only say what is checked")
        parser.add_argument("--only", action="append", metavar="NAME", help="check this one; may be repeated")
        parser.add_argument(
            "--seconds", type=float, default=30, help="how long something may be under way (default 30)"
        )
        parser.add_argument(
            "--timeout", type=float, default=300, help="seconds that one of them may take (default 300)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = chosen(options["only"])
        if options["list"]:
            self._list(wanted, options["json"])
            return
        looked = check(wanted, options["seconds"], timeout=options["timeout"])
        found = [one for one in looked if one.count or one.error]
        if options["json"]:
            self.stdout.write(json.dumps([as_json(one) for one in found], default=str))
        else:
            self._tell(found, len(wanted))
        if found:
            sys.exit(VIOLATED if any(one.count for one in found) else NOT_TOLD)

    def _list(self, wanted: tuple[Invariant, ...], in_json: bool) -> None:
        if in_json:
            self.stdout.write(json.dumps([described(one) for one in wanted]))
            return
        for one in wanted:
            self.stdout.write(f"{one.name}: {one.promise}\n  What to do: {one.remedy}")

    def _tell(self, found: list[Violation], looked_at: int) -> None:
        for one in found:
            if one.error:
                self.stderr.write(f"{one.invariant.name}: not looked at: {one.error}")
                continue
            self.stdout.write(f"{one.invariant.name}: {one.invariant.promise} {one.count} rows break this.")
            self.stdout.write(f"  What to do: {one.invariant.remedy}")
            for row in one.rows:
                self.stdout.write("  " + "  ".join(f"{name}={value}" for name, value in row.items()))
            if one.count > len(one.rows):
                self.stdout.write(f"  ... and {one.count - len(one.rows)} more")
        if not found:
            self.stdout.write(f"All {looked_at} invariants hold.")


def chosen(names: list[str] | None) -> tuple[Invariant, ...]:
    """Return the invariants of these names, all without any. Raises CommandError."""
    if not names:
        return INVARIANTS
    known = {one.name: one for one in INVARIANTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CommandError(f"no invariant is called {unknown[0]}: see --list", returncode=NOT_TOLD)
    return tuple(known[name] for name in names)


def described(one: Invariant) -> dict[str, Any]:
    return {"name": one.name, "promise": one.promise, "remedy": one.remedy}


def as_json(one: Violation) -> dict[str, Any]:
    told = {**described(one.invariant), "count": one.count, "rows": one.rows}
    return {**told, "error": one.error} if one.error else told
