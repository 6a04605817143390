"""Runs a page's script in node, in as much of a browser as it needs."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

STATIC = Path(__file__).parents[2] / "executions/static/executions"


def run_script(name: str, program: str) -> Any:
    """Return the JSON that a program prints; the path of the script `name` is its first argument."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    command = [node, "-e", program, str(STATIC / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)
