"""manage.py itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MANAGE = Path(__file__).resolve().parents[1] / "manage.py"
PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "attune_project.settings",
    "ATTUNE_ENV": "production",
    "SECRET_KEY": "x" * 50,
    "ATTUNE_JWT_SECRET": "x" * 32,
    "ATTUNE_ENCRYPTION_KEY": "x" * 32,
}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"ATTUNE_ENCRYPTION_KEY": ""},
            "attune: ATTUNE_ENCRYPTION_KEY: production needs at least 32 bytes of it\n",
        ),
        ({"ATTUNE_POLLS": "maybe"}, "attune: ATTUNE_POLLS='maybe': expected true or false\n"),
    ],
)
def test_a_wrong_variable_is_one_line(variables, said):
    environment = {**os.environ, **PRODUCTION, **variables}

    refused = subprocess.run(
        [sys.executable, str(MANAGE), "service", "web"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (refused.returncode, refused.stderr) == (1, said)
