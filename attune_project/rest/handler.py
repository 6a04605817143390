"""Django's ASGI handler with one hop: a thread answers a request from its first line to its last.

Django's own goes to and fro between the event loop and a thread of the request's own at every middleware
that only works in one of them, and at both signals. All of ours are plain functions, so that was most of
what a short request cost.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.db import close_old_connections
from django.http import HttpResponseBase
from django.urls import set_script_prefix

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
HEALTH = "/health"


class RequestHandler(ASGIHandler):
    """Answers requests in at most `threads` threads, each with one database connection; the next ones wait.

    Those for `/health...` have threads of their own: a process that is busy is alive all the same.
    """

    def __init__(self, threads: int, health_threads: int = 2) -> None:
        BaseHandler.__init__(self)
        self.load_middleware(is_async=False)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._health_threads = ThreadPoolExecutor(health_threads, thread_name_prefix="health")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        loop = asyncio.get_running_loop()
        threads = self._health_threads if scope["path"].startswith(HEALTH) else self._threads
        response = await loop.run_in_executor(threads, self._respond, scope, body)
        if not response.streaming:
            await self.send_response(response, send)
            return
        async with ThreadSensitiveContext():
            try:
                await self._send_while_wanted(response, receive, send)
            finally:
                await loop.run_in_executor(threads, response.close)

    def _respond(self, scope: Scope, body: Any) -> HttpResponseBase:
        """Return the answer, whole and closed unless it is a stream, with no connection kept."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        with contextlib.closing(body):
            try:
                request, refusal = self.create_request(scope, body)
                response = self.get_response(request) if request else refusal
                assert response is not None
                if not response.streaming:
                    response.close()  # sends request_finished
                return response
            finally:
                close_old_connections()

    async def _send_while_wanted(self, response: HttpResponseBase, receive: Receive, send: Send) -> None:
        """Send a stream until it ends or its client goes."""
        sending = asyncio.ensure_future(self.send_response(response, send))
        leaving = asyncio.ensure_future(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not sending.done():
                sending.cancel()
            ended = await asyncio.gather(sending, leaving, return_exceptions=True)
        if isinstance(ended[0], Exception):
            raise ended[0]
