"""Print, draw, declare or check the table of messages."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError

from attune_project.messaging import broker, declare, drawing, inspection, pools


def _pools() -> tuple[str, ...]:
    """Return every pool; those of settings alone when there is no database to look at, or no table yet."""
    try:
        return pools.refresh()
    except (DatabaseError, InterfaceError):
        return pools.declared()


class Command(BaseCommand):
    help = "Show who publishes and who consumes each message."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--mermaid", action="store_true", help="print a Mermaid diagram")
        parser.add_argument("--markdown", action="store_true", help="print docs/topology.md")
        parser.add_argument("--declare", action="store_true", help="declare everything on the broker")
        parser.add_argument("--check", action="store_true", help="compare the live broker with the table")

    def handle(self, *args: Any, **options: Any) -> None:
        names = _pools()
        if options["declare"]:
            with broker.connect() as connection:
                declare.declare_all(connection, names)
        if options["check"]:
            self._check(names)
        elif options["mermaid"]:
            self.stdout.write(drawing.mermaid(names))
        elif options["markdown"]:
            self.stdout.write(drawing.document(), ending="")
        elif not options["declare"]:
            self.stdout.write(drawing.table(names))

    def _check(self, names: tuple[str, ...]) -> None:
        findings = inspection.inspect(names)
        for finding in findings:
            self.stdout.write(str(finding))
        if any(finding.wrong for finding in findings):
            raise CommandError("the broker does not agree with the table")
