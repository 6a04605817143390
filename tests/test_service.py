"""What a service's process keeps to itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# As an ordinary user: root's files are root's either way.
PROGRAM = """
import ctypes, os, sys
from attune_project.service import keep_private
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # what an exec would do
if sys.argv[1] == "private":
    keep_private()
print("root" if os.stat("/proc/self/environ").st_uid == 0 else "its user")
"""


@pytest.mark.parametrize(("process", "owner"), [("open", "its user"), ("private", "root")])
def test_a_private_process_keeps_its_environment_from_others_of_its_user(process, owner):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, process],
        cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.strip() == owner
