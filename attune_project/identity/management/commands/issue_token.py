"""`manage.py issue_token`: an access token for the first administrator, for curl."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from attune_project.identity.administrators import NoAdministrator, first_administrator
from attune_project.identity.tokens import issue_access


class Command(BaseCommand):
    help = "Print an access token of the first administrator, and nothing else."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(issue_access(first_administrator()))
        except NoAdministrator as error:
            raise CommandError(str(error)) from None
