"""`manage.py ensure_admin`: the first administrator, from ATTUNE_ADMIN_LOGIN and ATTUNE_ADMIN_PASSWORD."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from attune_project import environment
from attune_project.identity.administrators import NoAdministrator, ensure_administrator


class Command(BaseCommand):
    help = 'Make the first administrator unless there is one; print {"login", "created"}.'

    def handle(self, *args: Any, **options: Any) -> None:
        login = environment.text("ATTUNE_ADMIN_LOGIN")
        try:
            identity, created = ensure_administrator(login, environment.text("ATTUNE_ADMIN_PASSWORD"))
        except NoAdministrator as error:
            raise CommandError(str(error)) from None
        self.stdout.write(json.dumps({"login": identity.login, "created": created}))
