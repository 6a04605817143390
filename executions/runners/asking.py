"""Ask a program for its version."""

from __future__ import annotations

import re
import subprocess
from functools import cache

PATIENCE = 30.0  # seconds; a host that is only starting may be slow

_VERSION = re.compile(r"\d+(\.\d+){0,3}")


@cache
def version_of(*argv: str) -> str | None:
    """Return the version that a program prints (`5.2.15(1)-release` is 5.2.15), None if it can't be run.

    Asked once per process: a program that is replaced under a running worker is not noticed.
    """
    try:
        answer = subprocess.run(  # noqa: S603 (fixed words and the operator's own settings)
            argv,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={"LANG": "C.UTF-8"},
            timeout=PATIENCE,
            check=True,
            text=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(answer.stdout)
    return found.group() if found else None
