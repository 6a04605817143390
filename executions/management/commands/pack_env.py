"""`manage.py pack_env list | build PACK | rebuild PACK | remove PACK`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from attune_project.packs.models import Pack
from executions.environments import keeping, records
from executions.environments.installing import BuildFailed
from executions.environments.needs import SHARED
from executions.environments.places import Busy
from executions.environments.serving import Asker
from executions.models import RuntimeEnvironment
from executions.runners import Control
from executions.worker.jobs import runner_settings

FORM = "{:<24} {:<12} {:<20} {:<9} {}"


class Command(BaseCommand):
    help = (
        "See and keep what packs' dependencies are installed into. `list` shows every host; the others work"
        " on this one: run them where the worker is, as its user. `rebuild` also lets other hosts try again"
        " at once what failed there."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
        words.add_parser("list", help="what is built, where, and how it went")
        for word, meaning in (
            ("build", "build what the pack needs and isn't there"),
            ("rebuild", "build all that the pack needs anew, and use it from then on"),
            ("remove", "remove what was built for the pack, but for what is used now"),
        ):
            words.add_parser(word, help=meaning).add_argument("pack", metavar="PACK")

    def handle(self, *args: Any, word: str, pack: str = "", **options: Any) -> None:
        if word == "list":
            self._list()
        elif word == "remove":
            self._say(f"{pack}: {keeping.discard(pack, records.host())} removed")
        else:
            self._make(pack, again=word == "rebuild")

    def _list(self) -> None:
        self._say(FORM.format("PACK", "RUNTIME", "HOST", "STATUS", "").rstrip())
        for row in RuntimeEnvironment.objects.order_by("pack_ref", "runtime_ref", "host"):
            owner = "(without dependencies)" if row.pack_ref == SHARED else row.pack_ref
            said = (row.error or row.step or "").splitlines()
            line = FORM.format(owner, row.runtime_ref, row.host, row.status, said[-1] if said else "")
            self._say(line.rstrip())

    def _make(self, ref: str, *, again: bool) -> None:
        try:
            pack = Pack.objects.get(ref=ref)
        except Pack.DoesNotExist:
            raise CommandError(f"there is no pack {ref}") from None
        if again:
            keeping.take_back_failures(pack)
        try:
            folders = keeping.make(pack, Asker(runner_settings(), Control(), self._say), again=again)
        except (keeping.NotHere, BuildFailed) as problem:
            raise CommandError(str(problem)) from None
        except Busy:
            raise CommandError(f"{ref}: it is being built right now; try again when that is over") from None
        self._say("\n".join(f"{ref}: {folder}" for folder in folders) or f"{ref}: needs no environment")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
