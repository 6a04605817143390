"""Settings of the test suite: the product's own, on the test servers."""

import os

os.environ.setdefault("ATTUNE_ENV", "test")
_database = os.environ.get("ATTUNE_TEST_DATABASE_URL") or os.environ.get("ATTUNE_TEST_DATABASE_URL_EMBEDDED")
if _database:
    os.environ["DATABASE_URL"] = _database
os.environ["BROKER_URL"] = "memory://"

from attune_project.settings import *  # noqa: E402, F403
from attune_project.settings import DATABASES  # noqa: E402

DATABASES["default"]["TEST"] = {"NAME": "test_attune" + os.environ.get("ATTUNE_TEST_DB_SUFFIX", "")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
