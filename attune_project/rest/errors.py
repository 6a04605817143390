"""Every refusal in one shape: `{"error": str, "code": str, "details"?: {...}}`."""

import re
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from psycopg.errors import ForeignKeyViolation, UniqueViolation
from psycopg_pool import PoolTimeout
from rest_framework import exceptions as drf
from rest_framework.response import Response

log = structlog.get_logger(__name__)

CHALLENGE = 'Bearer realm="attune"'


class BadRequest(drf.APIException):
    status_code = 400
    default_code = "BAD_REQUEST"
    default_detail = "The request can't be understood."


class UnknownFilter(BadRequest):
    default_code = "UNKNOWN_FILTER"


class TokenExpired(drf.AuthenticationFailed):
    default_code = "TOKEN_EXPIRED"
    default_detail = "The token has expired; refresh it or log in again."


class PayloadTooLarge(drf.APIException):
    status_code = 413
    default_code = "PAYLOAD_TOO_LARGE"
    default_detail = "The body is larger than 10 MiB."


class Conflict(drf.APIException):
    status_code = 409
    default_code = "CONFLICT"
    default_detail = "It already exists."


class Unprocessable(drf.APIException):
    """A well-formed body with bad values; `details` is `{field: [text]}`."""

    status_code = 422
    default_code = "VALIDATION_ERROR"
    default_detail = "The values don't fit."

    def __init__(self, details: dict[str, list[str]], text: str | None = None) -> None:
        super().__init__(text or first_problem(details))
        self.details = details


class Unavailable(drf.APIException):
    status_code = 503
    default_code = "UNAVAILABLE"
    default_detail = "The service can't answer right now; try again."
    wait = 1  # s


class DatabaseAway(Unavailable):
    """No connection came within the time that a request may wait for one."""


CODES = {
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "VALIDATION_ERROR",
    429: "TOO_MANY_REQUESTS",
}
OURS = {"TOKEN_EXPIRED", "UNKNOWN_FILTER", "NOT_CONFIGURED", "NOT_IMPLEMENTED", "UNAVAILABLE", "CONFLICT"}


def handle(exception: Exception, context: dict[str, Any]) -> Response | None:
    """Answer a view's exception; None (a fault of ours) goes on to `server_error`."""
    refusal = as_refusal(exception)
    if refusal is None:
        return None
    response = Response(body_of(refusal), status=status_of(refusal), headers=headers_of(refusal))
    response.is_for_want_of_database = isinstance(refusal, DatabaseAway)  # type: ignore[attr-defined]
    return response


def answer_to(exception: Exception) -> HttpResponse:
    """Answer an exception outside of a view; one that is a fault of ours is raised."""
    refusal = as_refusal(exception)
    if refusal is None:
        raise exception
    response = JsonResponse(body_of(refusal), status=status_of(refusal), headers=headers_of(refusal))
    response.is_for_want_of_database = isinstance(refusal, DatabaseAway)  # type: ignore[attr-defined]
    return response


def headers_of(refusal: drf.APIException) -> dict[str, str]:
    headers = {}
    wait = getattr(refusal, "wait", None)
    if wait is not None:
        headers["Retry-After"] = str(max(1, round(wait)))
    if refusal.status_code == 401:
        headers["WWW-Authenticate"] = CHALLENGE
    return headers


def is_for_want_of_database(response: Any) -> bool:
    """Tell an answer that any other request would be given, too, that needs the database now."""
    return bool(getattr(response, "is_for_want_of_database", False))


def as_refusal(exception: Exception) -> drf.APIException | None:
    match exception:
        case drf.APIException():
            return exception
        case Http404():
            return drf.NotFound("Not found.")
        case PermissionDenied():
            return drf.PermissionDenied(str(exception) or None)
        case IntegrityError():
            return conflict_of(exception)
        case OperationalError() | InterfaceError():
            log.warning("database_unavailable", exc_info=exception)
            return DatabaseAway() if isinstance(exception.__cause__, PoolTimeout) else Unavailable()
    return None


def conflict_of(error: IntegrityError) -> Conflict | None:
    """Return what two requests may do to each other; None for what only a fault of ours breaks."""
    violation = error.__cause__
    if isinstance(violation, UniqueViolation):
        return Conflict(duplicate(violation))
    if isinstance(violation, ForeignKeyViolation):  # what one request named, the other has deleted
        log.warning("crossed_requests", exc_info=error)
        return Conflict("Something that this hangs on changed at the same moment; look and try again.")
    return None


def duplicate(violation: UniqueViolation) -> str | None:
    """Name the value that is taken, from PostgreSQL's `Key (ref)=(core.echo) already exists.`"""
    found = re.match(r"Key \(([^()]+)\)=\((.*)\) ", violation.diag.message_detail or "", re.DOTALL)
    return f"{found[1]} {found[2]!r} exists already." if found else None


def status_of(refusal: drf.APIException) -> int:
    return 422 if isinstance(refusal, drf.ValidationError) else refusal.status_code


def code_of(refusal: drf.APIException) -> str:
    own = refusal.get_codes()
    if isinstance(own, str) and own in OURS:
        return own
    return CODES.get(status_of(refusal), "BAD_REQUEST" if refusal.status_code < 500 else "INTERNAL_ERROR")


def body_of(refusal: drf.APIException) -> dict[str, Any]:
    details = getattr(refusal, "details", None)
    text = str(refusal.detail)
    if isinstance(refusal, drf.ValidationError):
        details = flatten(refusal.detail)
        text = first_problem(details)
    body: dict[str, Any] = {"error": text, "code": code_of(refusal)}
    return {**body, "details": details} if details else body


def flatten(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Turn DRF's nested errors into `{"events.0.trigger_ref": [text]}`."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for key, value in detail.items():
            name = path if key == "non_field_errors" else f"{path}.{key}".strip(".")
            found |= flatten(value, name)
        return found
    if isinstance(detail, list) and any(isinstance(entry, dict) for entry in detail):
        return flatten(dict(enumerate(detail)), path)
    texts = [str(text) for text in detail] if isinstance(detail, list) else [str(detail)]
    return {path or "body": texts} if texts else {}


def first_problem(details: dict[str, list[str]]) -> str:
    """Say the first problem in one line that names its field."""
    for field, texts in details.items():
        return f"{field}: {texts[0]}"
    return "The values don't fit."


def is_page(request: HttpRequest) -> bool:
    return request.path_info.startswith("/admin")


def plain(status: int, code: str, text: str) -> JsonResponse:
    return JsonResponse({"error": text, "code": code}, status=status)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a route that doesn't exist: JSON, but for the admin's own pages."""
    if is_page(request):
        return defaults.page_not_found(request, exception)
    return plain(404, "NOT_FOUND", f"No such route: {request.path_info}")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return plain(400, "BAD_REQUEST", "The request can't be understood.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_page(request):
        return defaults.permission_denied(request, exception)
    return plain(403, "FORBIDDEN", "Permission denied")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a fault of ours without a word about its insides; the log has them under the trace id."""
    if is_page(request):
        return defaults.server_error(request)
    return plain(500, "INTERNAL_ERROR", "Something went wrong here; the log has it under this X-Request-Id.")
