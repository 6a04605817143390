"""One HTTP exchange through the guard: every hop is judged anew, and only judged addresses are met."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import httpx

from attune_project.language.documents import MAX_DEPTH, DocumentError, parse_json
from executions.runners.builtin.body import Unreadable, decode, read_body
from executions.runners.builtin.request import Options
from executions.runners.builtin.ssrf import Allowed, Blocked, resolve

T = TypeVar("T")

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CREDENTIALS = ("Authorization", "Cookie", "Proxy-Authorization")


class NoAnswer(Exception):
    """The exchange ended without an answer that could be kept."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One request of an exchange."""

    method: str
    url: httpx.URL
    headers: httpx.Headers
    content: bytes | None

    @property
    def host(self) -> str:
        return self.url.raw_host.decode("ascii")

    @property
    def origin(self) -> tuple[str, str, int | None]:
        return self.url.scheme, self.host, self.url.port


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a host waits, in seconds: for a connection to one address, and in silence."""

    connect: float
    read: float


async def exchange(options: Options, allowed: Allowed, patience: Patience) -> dict[str, Any]:
    """Send the request, follow its redirects, and return the last answer as the action's data.

    Raises Blocked, NoAnswer, httpx.HTTPError or OSError when there is none.
    """
    hop = Hop(options.method, options.url, options.headers, options.content)
    timeout = httpx.Timeout(None, connect=patience.connect, read=patience.read)
    # The transport, not a client: no cookies, no proxies of the environment, no redirects of its own.
    async with httpx.AsyncHTTPTransport(verify=_tls(options.verify), trust_env=False) as transport:
        for _number in range(options.redirects + 1):
            response = await _send(transport, hop, allowed, timeout)
            following = _following(hop, response) if options.follow else None
            if following is None:
                return await _answer(hop, response)
            await response.aclose()
            hop = following
    raise NoAnswer(f"more than {options.redirects} redirects")


async def _send(
    transport: httpx.AsyncHTTPTransport, hop: Hop, allowed: Allowed, timeout: httpx.Timeout
) -> httpx.Response:
    """Send to the first address of the host that takes a connection."""
    port = _port(hop.url)
    problem: Exception = NoAnswer("the URL has no host")
    for address in await _in_thread(lambda: resolve(hop.host, port, allowed)):
        try:
            return await transport.handle_async_request(_addressed(hop, address, timeout))
        except (httpx.ConnectError, httpx.ConnectTimeout) as failure:
            problem = failure
    raise problem


def _port(url: httpx.URL) -> int:
    """Return the port; raise Blocked for a URL that must not be requested whatever it resolves to."""
    if url.scheme not in _PORTS:
        raise Blocked(f"only http and https URLs may be requested, not {url.scheme or 'relative'} ones")
    if url.userinfo:
        raise Blocked("user and password in a URL are refused; auth_type=basic takes them")
    if not url.host:
        raise NoAnswer("the URL has no host")
    return url.port or _PORTS[url.scheme]


def _addressed(hop: Hop, address: str, timeout: httpx.Timeout) -> httpx.Request:
    """Return the request to a judged address, with the name kept for Host, SNI and the certificate."""
    return httpx.Request(
        hop.method,
        hop.url.copy_with(host=address, fragment=None),
        headers=[("Host", hop.url.netloc.decode("ascii")), *hop.headers.multi_items()],
        content=hop.content,
        extensions={
            "sni_hostname": hop.host.removesuffix("."),
            "timeout": timeout.as_dict(),
        },
    )


def _following(hop: Hop, response: httpx.Response) -> Hop | None:
    """Return the request that a redirect asks for, as browsers understand it, or None."""
    location = response.headers.get("location")
    if response.status_code not in _REDIRECTS or not location:
        return None
    try:
        url = hop.url.join(location)
    except httpx.InvalidURL as problem:
        raise NoAnswer(f"redirected to a URL that can't be read: {problem}") from None
    turned = response.status_code == 303 or (response.status_code in (301, 302) and hop.method == "POST")
    method = "GET" if turned and hop.method != "HEAD" else hop.method
    headers = hop.headers.copy()
    content = hop.content if method == hop.method else None
    if content is None:
        headers.pop("Content-Type", None)
    following = Hop(method, url, headers, content)
    if following.origin != hop.origin:
        for name in _CREDENTIALS:
            headers.pop(name, None)
    return following


async def _answer(hop: Hop, response: httpx.Response) -> dict[str, Any]:
    try:
        body = await read_body(response)
    except Unreadable as problem:
        raise NoAnswer(str(problem)) from None
    finally:
        await response.aclose()
    data = {
        "status_code": response.status_code,
        "headers": dict(response.headers.items()),
        "body": decode(response, body),
        "json": _json(body),
        "url": str(hop.url),
        "success": response.status_code < 400,
    }
    if not data["success"]:
        data["error"] = f"HTTP {response.status_code} {response.reason_phrase}".rstrip()
    return data


def _json(body: bytes) -> Any:
    """Return the body as JSON, or None when it is none, or none that can be stored."""
    try:
        return parse_json(body, max_depth=MAX_DEPTH - 1)
    except DocumentError:
        return None


@lru_cache(maxsize=2)
def _tls(verify: bool) -> ssl.SSLContext:
    return httpx.create_ssl_context(verify=verify)


async def _in_thread(call: Callable[[], T]) -> T:
    """Run a blocking call in a thread that nobody waits for.

    Not the loop's executor: ending the loop would wait there for a resolver that hangs.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(settler: Callable[[Any], None], value: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: the exchange has ended without us
            loop.call_soon_threadsafe(lambda: None if future.done() else settler(value))

    def work() -> None:
        try:
            settle(future.set_result, call())
        except Exception as problem:
            settle(future.set_exception, problem)

    threading.Thread(target=work, name="attune-resolve", daemon=True).start()
    return await future
