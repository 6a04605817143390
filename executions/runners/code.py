"""Find the file that an entrypoint names inside its pack."""

from __future__ import annotations

from pathlib import Path


class OutsidePack(Exception):
    """An entrypoint, or the link behind it, leaves the pack's actions."""

    def __init__(self, entrypoint: str) -> None:
        super().__init__(f"Entrypoint {entrypoint!r} lies outside the pack's actions folder")


def find(pack_dir: Path | None, entrypoint: str) -> Path | None:
    """Return `<pack dir>/actions/<entrypoint>`, links resolved, or None if there is no such file.

    Raises OutsidePack for a file that exists elsewhere.
    """
    if pack_dir is None:
        return None
    actions = pack_dir / "actions"
    try:
        # Text, not `/`: an absolute entrypoint must not replace the folder.
        path = Path(f"{actions}/{entrypoint}").resolve(strict=True)
        if not path.is_file():
            return None
        root = actions.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # too long for a name, a loop of links, NUL
        return None
    if not path.is_relative_to(root):
        raise OutsidePack(entrypoint)
    return path
