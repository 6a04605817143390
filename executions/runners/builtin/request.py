"""The parameters of core.http_request, read once into a value."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from executions.runners.builtin.values import BadParameter, flag, mapping, seconds, text

AGENT = "attune-http-request"
REDIRECTS = 10

_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}")
# They say how a message is framed and to whom it goes: not the caller's to choose.
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})


@dataclass(frozen=True, slots=True)
class Options:
    """What to request, and how patiently."""

    method: str
    url: httpx.URL
    headers: httpx.Headers = field(repr=False)
    content: bytes | None = field(repr=False)
    timeout: float  # seconds for everything
    verify: bool
    follow: bool
    redirects: int  # how many may be followed


def options_from(parameters: Mapping[str, Any]) -> Options:
    """Read the parameters; raise BadParameter naming the one that is wrong."""
    content, content_type = _content(parameters)
    return Options(
        method=_method(parameters),
        url=_url(parameters),
        headers=_headers(parameters, content_type),
        content=content,
        timeout=seconds(parameters, "timeout", 30.0),
        verify=flag(parameters, "verify_ssl", True),
        follow=flag(parameters, "follow_redirects", True),
        redirects=_redirects(parameters),
    )


def _method(parameters: Mapping[str, Any]) -> str:
    method = text(parameters, "method", "GET").upper()
    if not _METHOD.fullmatch(method) or method in ("CONNECT", "TRACE"):
        raise BadParameter("method", "expected an HTTP method such as GET or POST")
    return method


def _url(parameters: Mapping[str, Any]) -> httpx.URL:
    try:
        url = httpx.URL(text(parameters, "url").strip())
    except httpx.InvalidURL as problem:
        raise BadParameter("url", str(problem)) from None
    query = mapping(parameters, "query_params")
    return url.copy_merge_params({name: _query(value) for name, value in query.items()}) if query else url


def _query(value: Any) -> Any:
    """Return what httpx takes: text, or a list of texts for a name that is repeated."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _content(parameters: Mapping[str, Any]) -> tuple[bytes | None, str | None]:
    """Return the body and the type that it has unless a header says otherwise."""
    if parameters.get("json_body") is not None:
        return json.dumps(parameters["json_body"], ensure_ascii=False).encode(), "application/json"
    body = parameters.get("body")
    if body is None:
        return None, None
    if not isinstance(body, str):
        raise BadParameter("body", "expected text; json_body takes other values")
    return body.encode(), None


def _headers(parameters: Mapping[str, Any], content_type: str | None) -> httpx.Headers:
    headers = httpx.Headers({"Accept": "*/*", "Accept-Encoding": "gzip", "User-Agent": AGENT})
    if content_type:
        headers["Content-Type"] = content_type
    authorization = _authorization(parameters)
    if authorization:
        headers["Authorization"] = authorization
    for name, value in mapping(parameters, "headers").items():
        if name.lower() in _OURS:
            raise BadParameter("headers", f"{name} is set by the request itself")
        headers[name] = _plain(value)
    return headers


def _authorization(parameters: Mapping[str, Any]) -> str | None:
    kind = text(parameters, "auth_type", "none")
    if kind == "none":
        return None
    if kind == "bearer":
        return f"Bearer {text(parameters, 'auth_token')}"
    if kind == "basic":
        pair = f"{text(parameters, 'auth_username')}:{text(parameters, 'auth_password')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    raise BadParameter("auth_type", "expected none, basic or bearer")


def _redirects(parameters: Mapping[str, Any]) -> int:
    most = parameters.get("max_redirects", REDIRECTS)
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise BadParameter("max_redirects", "expected a whole number of at least 0")
    return min(most, 50)
