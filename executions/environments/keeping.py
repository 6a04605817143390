"""What operators do with the environments of a pack on the host where they ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from attune_project.packs.models import Pack
from attune_project.packs.places import folder_of
from executions.environments.places import Busy, Place, locked, remove
from executions.environments.serving import Asker, build, place_for
from executions.models import RuntimeEnvironment
from executions.models.environment import EnvironmentStatus
from executions.runners import RUNNERS
from executions.runners.recipe import Recipe


class NotHere(LookupError):
    """A pack whose files this host doesn't have; the message says so."""


def make(pack: Pack, asker: Asker, *, again: bool = False) -> list[Path]:
    """Build what the pack needs and isn't there; all of it anew if `again`. Return the folders.

    Raises NotHere, BuildFailed, or Busy when a worker builds it right now. What runs goes on in the
    environment that it began in.
    """
    return [_made(place, asker, again) for place in places_of(pack, asker)]


def take_back_failures(pack: Pack) -> int:
    """Let every host try its failed builds of a pack again at once; return how many there are."""
    rows = RuntimeEnvironment.objects.filter(pack_ref=pack.ref, status=EnvironmentStatus.FAILED)
    return rows.delete()[0]


def discard(pack_ref: str, host: str) -> int:
    """Remove a pack's environments from this host, but for what is used now; return how many went."""
    owner: Path = settings.ATTUNE_RUNTIME_ENVS_DIR / pack_ref
    gone = sum(_discarded(owner, recipe) for recipe in recipes()) if owner.is_dir() else 0
    RuntimeEnvironment.objects.filter(pack_ref=pack_ref, host=host).delete()
    return gone


def places_of(pack: Pack, asker: Asker) -> list[Place]:
    """Return where this host has or would have what a pack needs, one for each runtime that needs some."""
    folder = folder_of(pack.ref, pack.version, pack.storage_path)
    if folder is None:
        raise NotHere(f"this host has no copy of the pack {pack.ref} {pack.version}")
    found = (place_for(recipe, pack.ref, folder, asker.host) for recipe in recipes())
    return [place for place in found if place is not None]


def recipes() -> Iterator[Recipe]:
    return (runner.recipe for runner in RUNNERS.values() if runner.recipe is not None)


def _made(place: Place, asker: Asker, again: bool) -> Path:
    with place.building():
        ready = place.ready()
        return ready if ready is not None and not again else build(place, asker)


def _discarded(owner: Path, recipe: Recipe) -> int:
    with suppress(Busy), locked(owner / f"{recipe.name}.lock"):
        return remove(owner, recipe.name)
    return 0
