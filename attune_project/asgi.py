"""ASGI entry of the web service."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "attune_project.settings")
os.environ.setdefault("ATTUNE_SERVICE", "web")

from django.core.asgi import get_asgi_application

application = get_asgi_application()

from attune_project.messaging import ticker

ticker.start("web")
