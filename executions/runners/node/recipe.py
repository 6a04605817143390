"""The environment of a pack for core.node: the node_modules of its package.json."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from executions.runners.asking import version_of
from executions.runners.job import RunnerSettings
from executions.runners.recipe import SOURCE, NoInstaller, Step

PACKAGE = "package.json"
LOCKS = ("package-lock.json", "npm-shrinkwrap.json")
OPTIONS = ("--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=notice")

_LOCAL = re.compile(r'"(?:file|link):([^"]+)"')


class NodeRecipe:
    name = "node"
    files = (PACKAGE, *LOCKS, ".npmrc")
    shared = False

    def asks(self, pack_dir: Path) -> bool:
        """A package.json that can't be read counts: npm says best what is wrong with it."""
        try:
            package = json.loads((pack_dir / PACKAGE).read_bytes())
        except OSError:
            return False
        except ValueError:
            return True
        return not isinstance(package, dict) or any(
            package.get(name) for name in ("dependencies", "optionalDependencies")
        )

    def references(self, text: str) -> Iterable[str]:
        return _LOCAL.findall(text)

    def identity(self, settings: RunnerSettings) -> str:
        """Modules with native code fit one major version of node."""
        version = version_of(node_of(settings) or "node", "--version")
        return f"node {(version or '').partition('.')[0]}"

    def steps(self, folder: Path, files: Iterable[str], settings: RunnerSettings) -> list[Step]:
        node = node_of(settings)
        beside = str(Path(node).parent) if node else ""
        npm = shutil.which("npm", path=f"{beside}:{settings.path}")
        if node is None or npm is None:
            raise NoInstaller(f"{'node' if node is None else 'npm'} is not on this host")
        command = ("ci",) if any(name in LOCKS for name in files) else ("install", "--no-package-lock")
        return [Step(f"npm {command[0]}", (node, npm, *command, *OPTIONS))]

    def works(self, folder: Path) -> bool:
        return modules_of(folder).is_dir()


def modules_of(environment: Path) -> Path:
    return environment / SOURCE / "node_modules"


def node_of(settings: RunnerSettings) -> str | None:
    """Return the path of this host's node."""
    return shutil.which(settings.node, path=settings.path)


RECIPE = NodeRecipe()
