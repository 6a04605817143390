"""What a running Attune leaves in its data folder for the other commands, and for the start after a crash."""

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

from attune_project.embedded import processes
from attune_project.embedded.folder import DataFolder, read_private, write_private
from attune_project.embedded.processes import Identity


class RunState:
    """`run.json`: addresses, socket folder and children. Written only with the data folder's lock held."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder
        self.children: list[Identity] = []
        self.environment: dict[str, str] = {}
        self.sockets: Path | None = None

    def note_sockets(self, sockets: Path) -> None:
        self.sockets = sockets
        self._save()

    def sockets_for(self, name: str) -> Path:
        assert self.sockets is not None, "no socket folder was made"
        return self.sockets / name

    def note_children(self, children: list[Identity]) -> None:
        self.children = children
        self._save()

    def note_environment(self, environment: Mapping[str, str]) -> None:
        """Publish the addresses: from now on the other commands use them."""
        self.environment = dict(environment)
        self._save()

    def clear(self) -> None:
        """Forget a run that has ended, its socket folder included."""
        _remove_sockets(str(self.sockets or ""))
        self.folder.state_file.unlink(missing_ok=True)

    def end_leftovers(self) -> None:
        """End what a killed launcher left: newest first, so that services go before their servers."""
        found = read_private(self.folder.state_file)
        for child in reversed(found.get("children", [])):
            processes.end(Identity(child["pid"], child["started"]), signal.SIGTERM, patience=3)
        _remove_sockets(found.get("sockets", ""))
        self.folder.state_file.unlink(missing_ok=True)

    def _save(self) -> None:
        children = [{"pid": child.pid, "started": child.started} for child in self.children]
        content = {"environment": self.environment, "sockets": str(self.sockets or ""), "children": children}
        write_private(self.folder.state_file, content)


def published(folder: DataFolder) -> dict[str, str]:
    """Return the addresses of the Attune that runs on this data folder; empty when none does."""
    if not folder.holder():
        return {}
    return dict(read_private(folder.state_file).get("environment", {}))


def _remove_sockets(path: str) -> None:
    """Remove a socket folder that `make_socket_folder` made, and nothing else that may be recorded."""
    if Path(path).name.startswith("attune-"):
        shutil.rmtree(path, ignore_errors=True)
