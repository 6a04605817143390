"""Delete a pack with all that is in it; history keeps the refs."""

import shutil
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError

from attune_project.identity.models import Identity

from .items import kinds
from .models import Pack

CORE = "core"
UPLOAD = "upload"


class NotRemovable(ValueError):
    """A pack that has to stay, and why."""


@transaction.atomic
def delete_pack(pack: Pack, *, by: Identity | None = None) -> None:
    """Delete a pack, its items by the verbs of their apps, and the files that an upload brought.

    Raise NotRemovable for the core pack and for a pack that another pack's sensors need.
    """
    if pack.ref == CORE:
        raise NotRemovable("the core pack is a part of Attune")
    try:
        for kind in reversed(kinds()):
            for row in kind.rows(pack):
                kind.remove(row, by)
        pack.delete()
    except ProtectedError as error:
        users = sorted(str(row) for row in error.protected_objects)
        raise NotRemovable(f"{pack.ref} is needed by {', '.join(users[:10])}") from None
    folder = uploaded_folder(pack)
    if folder is not None:
        transaction.on_commit(lambda: shutil.rmtree(folder, ignore_errors=True))


def uploaded_folder(pack: Pack) -> Path | None:
    """Return the folder that is Attune's own to delete: it came by upload and lies where uploads lie."""
    if pack.source_type != UPLOAD:
        return None
    folder: Path = settings.ATTUNE_PACKS_DIR / pack.ref
    return folder if str(folder.resolve()) == pack.storage_path else None
