"""core.node: a file of the pack, which finds the pack's node_modules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from executions.runners.asking import version_of
from executions.runners.job import Control, Job, Outcome, RunnerSettings
from executions.runners.node.modules import finding
from executions.runners.node.recipe import RECIPE, modules_of, node_of
from executions.runners.program import (
    Program,
    Unrunnable,
    file_of,
    problem_of_file,
    run_program,
    searched_first,
)


class NodeRunner:
    ref = "core.node"
    aliases = ("node", "nodejs")
    recipe = RECIPE

    def run(self, job: Job, control: Control, settings: RunnerSettings) -> Outcome:
        return run_program(job, control, settings, lambda _folder, _env: _program(job, settings))

    def is_inline(self, entrypoint: str) -> bool:
        return False

    def check(self, entrypoint: str, pack_dir: Path | None) -> str | None:
        return problem_of_file(entrypoint, pack_dir)

    def offers(self, settings: RunnerSettings) -> str | None:
        node = node_of(settings)
        return version_of(node, "--version") if node else None


def _program(job: Job, settings: RunnerSettings) -> Program:
    file = file_of(job)
    node = node_of(settings)
    if node is None:
        raise Unrunnable(f"core.node needs {settings.node}, which this host does not have")
    if job.environment is None:
        return Program((node, str(file)))
    modules = modules_of(job.environment)
    own = {"NODE_PATH": str(modules), "PATH": searched_first(modules / ".bin", settings.path)}
    found = finding(modules) if _is_module(file) else ()
    return Program((node, *found, str(file)), own)


def _is_module(file: Path) -> bool:
    """Tell an ES module, which NODE_PATH means nothing to, from a CommonJS one, as node does."""
    if file.suffix != ".js":
        return file.suffix == ".mjs"
    for folder in file.parents:
        package = _package(folder / "package.json")
        if package is not None:
            return package.get("type") == "module"
    return False


def _package(path: Path) -> Mapping[str, object] | None:
    try:
        package = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return package if isinstance(package, dict) else {}
