"""ASGI entry of the web service."""

import os
import warnings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "attune_project.settings")
os.environ.setdefault("ATTUNE_SERVICE", "web")

from django.conf import settings
from django.core.asgi import get_asgi_application

from attune_project.rest.body_limit import limit_bodies
from attune_project.rest.sse import streams_outside_requests

# WhiteNoise streams files synchronously; they are small and packaged, and each is cached by browsers.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
django = streams_outside_requests(get_asgi_application())

from attune_project.messaging import ticker
from executions.api.upload_limit import upload_limit

application = limit_bodies(django, settings.DATA_UPLOAD_MAX_MEMORY_SIZE, upload_limit)

ticker.start("web")
