"""`manage.py load_pack DIR`: load or reload a pack from its folder."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from attune_project.packs.loader import PackError, Report, load_pack


class Command(BaseCommand):
    help = "Load or reload the pack in a folder. Bad items are skipped and named on stderr."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR")

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        try:
            report = load_pack(folder)
        except PackError as error:
            raise CommandError(str(error)) from None
        for warning in report.warnings:
            self.stderr.write(str(warning))
        self.stdout.write(summary(report))


def summary(report: Report) -> str:
    """Say in one line what came of a pack."""
    words = [f"{len(refs)} {folder}" for folder, refs in report.loaded.items()]
    words += [f"{len(refs)} {folder} deleted" for folder, refs in report.deleted.items()]
    words += [f"{len(report.warnings)} warnings"] if report.warnings else []
    return f"{report.pack_ref}: {', '.join(words) or 'nothing to load'}"
