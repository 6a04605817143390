"""`manage.py prepare`: bring a database to where the services can start. Safe to repeat."""

import json
from argparse import ArgumentParser
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from executions.runners.proving import SandboxBroken, prove
from executions.worker.jobs import runner_settings

DEMO = Path(__file__).resolve().parents[2] / "demo"


class Command(BaseCommand):
    """Runs what `attune up` needs before the services, in one process to save its start."""

    help = "Migrate, make the first administrator, declare the topology and load the core pack."
    requires_system_checks = []  # migrate runs them, once there are tables to look at

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--demo", action="store_true", help="load the demo pack too")
        parser.add_argument(
            "--result",
            type=Path,
            help="write who the first administrator is, and what keeps actions apart, to this file",
        )

    def handle(self, *, demo: bool, result: Path | None, **options: Any) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        administrator = json.loads(self._output_of("ensure_admin"))
        self._declare()
        for pack in (settings.BASE_DIR / "attune_project/packs/core", *([DEMO] if demo else [])):
            call_command("load_pack", str(pack), stdout=self.stdout)
        if result:
            result.write_text(json.dumps({**administrator, "sandbox": self._sandbox()}))

    def _sandbox(self) -> str:
        """Return what keeps actions apart from this host, in words; refuse what does not work now, in words,
        instead of in each worker's log later."""
        try:
            return str(prove(runner_settings()))
        except SandboxBroken as broken:
            raise CommandError(str(broken)) from None

    def _output_of(self, name: str) -> str:
        output = StringIO()
        call_command(name, stdout=output)
        return output.getvalue()

    def _declare(self) -> None:
        """Declare the topology. A broker that is away delays nothing here: services declare it too."""
        try:
            call_command("topology", declare=True, stdout=self.stdout)
        except (CommandError, OSError) as error:
            self.stderr.write(f"the topology isn't declared yet: {error}")
