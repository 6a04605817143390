"""ASGI entry of the web service."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "attune_project.settings")
os.environ.setdefault("ATTUNE_SERVICE", "web")

from django.conf import settings
from django.core.asgi import get_asgi_application

from attune_project.rest.body_limit import limit_bodies

application = limit_bodies(get_asgi_application(), settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

from attune_project.messaging import ticker

ticker.start("web")
