"""`manage.py key_rotate`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from attune_project.identity.keys.storing import rotate


class Command(BaseCommand):
    help = (
        "Encrypt every key anew under ATTUNE_ENCRYPTION_KEY. Give the keys before it, separated by blanks, in"
        " ATTUNE_ENCRYPTION_KEYS_OLD until this has succeeded. Safe to repeat, and while services run."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        renewed, unreadable = rotate()
        self.stdout.write(f"{renewed} keys encrypted anew")
        if unreadable:
            reasons = "\n".join(str(problem) for problem in unreadable)
            raise CommandError(f"{len(unreadable)} keys stay as they are:\n{reasons}")
