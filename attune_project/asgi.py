"""ASGI entry of the web service."""

import os
import warnings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "attune_project.settings")
os.environ.setdefault("ATTUNE_SERVICE", "web")

from django.conf import settings
from django.core.asgi import get_asgi_application

from attune_project.rest.body_limit import limit_bodies

# WhiteNoise streams files synchronously; they are small and packaged, and each is cached by browsers.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
application = limit_bodies(get_asgi_application(), settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

from attune_project.messaging import ticker

ticker.start("web")
