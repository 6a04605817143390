"""`manage.py assign_permission_set LOGIN REF [--remove]`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from attune_project.identity.models import Identity, PermissionSet
from attune_project.identity.permission_sets import assign, withdraw


class Command(BaseCommand):
    help = "Give an identity a permission set, or take it away."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("login")
        parser.add_argument("ref", help="such as core.editor")
        parser.add_argument("--remove", action="store_true")

    def handle(self, *args: Any, login: str, ref: str, remove: bool, **options: Any) -> None:
        identity = Identity.objects.filter(login=login).first()
        permset = PermissionSet.objects.filter(ref=ref).first()
        if identity is None:
            raise CommandError(f"No identity {login!r}.")
        if permset is None:
            known = ", ".join(PermissionSet.objects.order_by("ref").values_list("ref", flat=True)) or "none"
            raise CommandError(f"No permission set {ref!r}; there are: {known}.")
        changed = withdraw(identity, permset) if remove else assign(identity, permset)
        said = "no longer has" if remove else "has"
        self.stdout.write(f"{login} {said} {ref}{'' if changed else ' (nothing changed)'}")
