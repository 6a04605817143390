"""`manage.py dead_letters list|show|preview|redrive|discard`."""

import getpass
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from attune_project.console.dead_letter_shapes import DeadLetterShape, filtered
from attune_project.messaging import redriving
from attune_project.messaging.models import DeadLetter
from attune_project.messaging.models.dead_letter import OPEN
from attune_project.messaging.redriving import Actor, Plan
from attune_project.rest.errors import Unprocessable

FILTERS = ("queue", "routing_key", "reason", "step", "status", "created_before", "created_after")


class Command(BaseCommand):
    help = "Look at what was given up on; re-drive or discard it."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for name, text in {
            "list": "print the newest",
            "show": "print one in full",
            "preview": "say what would become of open ones that are re-driven",
            "redrive": "give open ones back to their steps",
            "discard": "close open ones and do nothing",
        }.items():
            verb = verbs.add_parser(name, help=text)
            verb.add_argument("ids", nargs="+" if name == "show" else "*", type=int)
            if name != "show":
                for one in FILTERS:
                    verb.add_argument(f"--{one.replace('_', '-')}")
            if name == "list":
                verb.add_argument("--limit", type=int, default=50)
            if name in ("preview", "redrive", "discard"):
                verb.add_argument("--all", action="store_true", help="every open one")
            if name in ("redrive", "discard"):
                verb.add_argument("--why", help="kept with each of them")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['verb']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        for letter in self._found(options).order_by("-pk")[: options["limit"]]:
            what = f"{letter.step} {letter.row_id}" if letter.step else letter.message_id or "-"
            self.stdout.write(
                f"{letter.pk}\t{letter.status}\t{letter.queue or '-'}\t{letter.reason}\t{what}"
                f"\t{letter.deaths} times\t{letter.last_seen_at:%Y-%m-%dT%H:%M:%SZ}"
            )

    def _show(self, options: dict[str, Any]) -> None:
        for letter in DeadLetter.objects.filter(pk__in=options["ids"]).order_by("pk"):
            self.stdout.write(json.dumps(DeadLetterShape(letter).data, indent=2, default=str))

    def _preview(self, options: dict[str, Any]) -> None:
        self._tell(redriving.preview(self._open(options)))

    def _redrive(self, options: dict[str, Any]) -> None:
        ids = [letter.pk for letter in self._open(options)]
        self._tell(redriving.redrive(ids, _caller(), options["why"]))

    def _discard(self, options: dict[str, Any]) -> None:
        ids = [letter.pk for letter in self._open(options)]
        self.stdout.write(f"{len(redriving.discard(ids, _caller(), options['why']))} discarded")

    def _tell(self, plans: list[Plan]) -> None:
        for plan in plans:
            self.stdout.write(f"{plan.id}\t{plan.outcome}\t{plan.text}")
        self.stdout.write(f"{len(plans)} in all")

    def _open(self, options: dict[str, Any]) -> QuerySet[DeadLetter]:
        if not (options["ids"] or options["all"] or any(options[name] for name in FILTERS)):
            raise CommandError("name ids, a filter, or --all")
        return self._found(options).filter(OPEN).order_by("pk")

    def _found(self, options: dict[str, Any]) -> QuerySet[DeadLetter]:
        given = {name: options[name] for name in FILTERS if options[name]}
        rows = DeadLetter.objects.all()
        try:
            return filtered(rows.filter(pk__in=options["ids"]) if options["ids"] else rows, given)
        except Unprocessable as refusal:
            raise CommandError(str(refusal.detail)) from None


def _caller() -> Actor:
    try:
        return Actor(f"{getpass.getuser()} (shell)")
    except (KeyError, OSError):  # a user without a name
        return Actor("shell")
