"""Django's ASGI handler with one hop: a thread answers a request from its first line to its last.

Django's own goes to and fro between the event loop and a thread of the request's own at every middleware
that only works in one of them, and at both signals. All of ours are plain functions, so that was most of
what a short request cost.
"""

import asyncio
import contextlib
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from asgiref.sync import ThreadSensitiveContext
from django.conf import settings
from django.core import signals
from django.core.exceptions import DisallowedHost, RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import ResolverMatch, resolve, set_script_prefix
from django_prometheus.utils import Time

from attune_project.rest import errors
from attune_project.rest.gathering import Dismissed, Gathering
from attune_project.rest.middleware import TRACE_HEADER
from attune_project.rest.trace import trace_from_header

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
HEALTH = "/health"
MOST_TOGETHER = 64  # requests that are answered by one thread at once
LARGEST_TOGETHER = 64 * 1024  # bytes of such a request's body
BATCHES = 2  # that are under way at once: one waits for the database, one is made ready
MOST_WAITING = 1000  # requests for which no thread is free; further ones are told to come again


class Door(Protocol):
    """Requests of one kind that are answered together when they come together.

    It only ever takes: whatever isn't in perfect order is left to the view of that route, which says so.
    """

    def opens(self, scope: Scope) -> bool:
        """Tell, by its first line, whether a request may be one of this kind."""

    def take(self, requests: Sequence[HttpRequest]) -> list[HttpResponse | None]:
        """Answer requests, in their order; None leaves one, of which nothing was kept, to its view.

        Each has a `trace_id`. What is raised is the answer to each, as if a view had raised it.
        """


@dataclass(frozen=True)
class Arrival:
    """A request as it came, and when, by the clock of its metrics."""

    scope: Scope
    body: Any
    at: float


class RequestHandler(ASGIHandler):
    """Answers requests in at most `threads` threads, each with one database connection; the next ones wait.

    Those for `/health...` have threads of their own: a process that is busy is alive all the same.
    Those that come through the door are answered together. When the database turns out to be away, all that
    wait are answered so at once, and not one after the other, each after a wait of its own.
    """

    def __init__(self, threads: int, health_threads: int = 2, door: Door | None = None) -> None:
        BaseHandler.__init__(self)
        self.load_middleware(is_async=False)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._health_threads = ThreadPoolExecutor(health_threads, thread_name_prefix="health")
        self._most = threads + MOST_WAITING
        self._turns: set[Future[HttpResponseBase]] = set()  # that have not ended
        self._door = door
        self._gathering = Gathering(
            self._respond_together, ThreadPoolExecutor(BATCHES, "door"), MOST_TOGETHER, BATCHES
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        response = await self._answer(scope, body)
        if not response.streaming:
            await self.send_response(response, send)
            return
        async with ThreadSensitiveContext():
            try:
                await self._send_while_wanted(response, receive, send)
            finally:
                await asyncio.get_running_loop().run_in_executor(self._threads, response.close)

    async def _answer(self, scope: Scope, body: Any) -> HttpResponseBase:
        if scope["path"].startswith(HEALTH):
            return await asyncio.wrap_future(self._health_threads.submit(self._respond, scope, body))
        if len(self._turns) + len(self._gathering) >= self._most:
            return refusal(scope, body)
        try:
            response = await self._answer_in_time(scope, body)
        except Dismissed:
            return refusal(scope, body)
        if errors.is_for_want_of_database(response):
            self._gathering.dismiss()
        return response

    async def _answer_in_time(self, scope: Scope, body: Any) -> HttpResponseBase:
        """Answer a request at the door or in its turn. Raises Dismissed."""
        if self._door and self._door.opens(scope) and size_of(body) <= LARGEST_TOGETHER:
            response = await self._gathering.do(Arrival(scope, body, Time()))
            if response is not None:
                return response
        return await self._in_turn(scope, body)

    async def _in_turn(self, scope: Scope, body: Any) -> HttpResponseBase:
        """Answer a request in a thread, once there is one."""
        turn = self._threads.submit(self._respond, scope, body)
        self._turns.add(turn)
        try:
            return await asyncio.wrap_future(turn)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not turn.cancelled() or (task and task.cancelling()):
                raise
            raise Dismissed from None
        finally:
            self._turns.discard(turn)

    def _dismiss_turns(self, response: Any) -> None:
        """Refuse all that wait for a thread, before this one takes the next, if there's no database."""
        if errors.is_for_want_of_database(response):
            for turn in list(self._turns):
                turn.cancel()  # which does nothing to one that has begun

    def _respond(self, scope: Scope, body: Any) -> HttpResponseBase:
        """Return the answer, whole and closed unless it is a stream, with no connection kept."""
        with contextlib.closing(body):
            try:
                request, response = self._begin(scope, body)
                if request is not None:
                    response = self.get_response(request)
                assert response is not None
                self._dismiss_turns(response)
                if not response.streaming:
                    response.close()  # sends request_finished
                return response
            finally:
                close_old_connections()

    def _begin(self, scope: Scope, body: Any) -> tuple[Any, HttpResponseBase | None]:
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, response = self.create_request(scope, body)
        return request, response

    def _respond_together(self, arrivals: Sequence[Arrival]) -> list[HttpResponseBase | None]:
        """Answer those that the door takes, each through the middleware; None is for its own turn."""
        assert self._door is not None
        try:
            requests = [self._request_at_door(arrival) for arrival in arrivals]
            plain = [request for request in requests if request is not None]
            taken = dict(zip(map(id, plain), self._taken(plain), strict=True))
            return [
                self._respond_prepared(arrival, request, taken.get(id(request)))
                for arrival, request in zip(arrivals, requests, strict=True)
            ]
        finally:
            close_old_connections()

    def _request_at_door(self, arrival: Arrival) -> Any:
        """Return a request that no middleware would answer by itself; else None."""
        request, _ = self._begin(arrival.scope, arrival.body)
        if request is None:
            return None
        try:
            request.get_host()
        except DisallowedHost:
            return None
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            return None
        request.trace_id = trace_from_header(request.headers.get(TRACE_HEADER)) or uuid.uuid4()
        return request

    def _taken(self, requests: list[HttpRequest]) -> Sequence[HttpResponse | Exception | None]:
        assert self._door is not None
        try:
            return self._door.take(requests) if requests else []
        except Exception as problem:  # it is answered by each of them
            return [problem] * len(requests)

    def _respond_prepared(
        self, arrival: Arrival, request: Any, prepared: HttpResponse | Exception | None
    ) -> HttpResponseBase | None:
        if prepared is None:
            arrival.body.seek(0)
            return None
        request.prepared = prepared
        request.arrived_at = arrival.at
        response = self.get_response(request)
        self._dismiss_turns(response)
        response.close()
        arrival.body.close()
        return response

    def _get_response(self, request: Any) -> HttpResponseBase:
        """Return what the innermost of the middleware is given: the view's answer, or the door's."""
        prepared = getattr(request, "prepared", None)
        if prepared is None:
            response: HttpResponseBase = super()._get_response(request)  # type: ignore[misc]
            return response
        request.prometheus_before_middleware_event = request.arrived_at
        request.prometheus_after_middleware_event = request.arrived_at
        match = request.resolver_match = route_of(request.path_info)
        for look in self._view_middleware:  # type: ignore[attr-defined]
            look(request, match.func, match.args, match.kwargs)
        return errors.answer_to(prepared) if isinstance(prepared, Exception) else prepared

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


@lru_cache(maxsize=1024)
def route_of(path: str) -> ResolverMatch:
    return resolve(path)


def size_of(body: Any) -> int:
    size: int = body.seek(0, os.SEEK_END)
    body.seek(0)
    return size


def refusal(scope: Scope, body: Any) -> HttpResponse:
    """Tell a client whom no thread will answer to come again."""
    body.close()
    response = errors.answer_to(errors.Unavailable())
    found = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"]
    response.headers[TRACE_HEADER] = str(trace_from_header(found[0] if found else None) or uuid.uuid4())
    return response
