"""Run the launcher's second half with `fake_manage.py` in place of manage.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attune_project.embedded import cli, services

services.MANAGE = str(Path(__file__).with_name("fake_manage.py"))
sys.exit(cli.main(sys.argv[1:]))
