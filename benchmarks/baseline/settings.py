"""Settings of the hand-written pipeline. The database's address comes from the benchmark."""

import os

from attune_project import environment

SECRET_KEY = "nothing is signed here"
INSTALLED_APPS = ["benchmarks.baseline"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **environment.database(os.environ["DATABASE_URL"]),
        "CONN_MAX_AGE": None,
    }
}
