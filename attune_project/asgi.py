"""ASGI entry of the web service."""

import os
import warnings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "attune_project.settings")
os.environ.setdefault("ATTUNE_SERVICE", "web")

import django
from django.conf import settings

django.setup(set_prefix=False)

from attune_project.messaging import ticker
from attune_project.rest.body_limit import limit_bodies
from attune_project.rest.handler import RequestHandler
from attune_project.rest.sse import streams_outside_requests
from executions.api.upload_limit import upload_limit
from sensors.api.webhooks import WebhookDoor

# WhiteNoise streams files synchronously; they are small and packaged, and each is cached by browsers.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
# Each may have one of the 20 connections of the pool (settings.py); the readers of streams have the others.
REQUEST_THREADS = 16
requests = streams_outside_requests(RequestHandler(REQUEST_THREADS, door=WebhookDoor()))
application = limit_bodies(requests, settings.DATA_UPLOAD_MAX_MEMORY_SIZE, upload_limit)

ticker.start("web")
