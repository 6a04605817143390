"""Query parameters of lists, read strictly: what can't be understood is named, never skipped."""

from django.http import QueryDict
from rest_framework.request import Request

from .errors import BadRequest

PAGING = frozenset(
    {"page", "per_page", "page_size", "limit", "offset", "include_total", "ordering", "format"}
)
LARGEST = 2**63 - 1


def whole_number(parameters: QueryDict, name: str, *, minimum: int) -> int | None:
    """Return a parameter's whole number, None when absent; huge ones are held to 64 bits."""
    text = parameters.get(name, "").strip()
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise BadRequest(f"{name}: {text[:40]!r} isn't a whole number")
    number = min(int(digits[:30]), LARGEST) * (-1 if text.startswith("-") else 1)
    if number < minimum:
        raise BadRequest(f"{name}: must be at least {minimum}")
    return number


def flag(parameters: QueryDict, name: str, default: bool) -> bool:
    text = parameters.get(name, "").strip().lower()
    if text in ("true", "1"):
        return True
    if text in ("false", "0"):
        return False
    if text:
        raise BadRequest(f"{name}: expected true or false")
    return default


def refuse_nul(request: Request) -> None:
    """Refuse NUL characters, which PostgreSQL can't even compare with."""
    for name, values in request.query_params.lists():
        if "\x00" in name or any("\x00" in value for value in values):
            raise BadRequest(f"{name!r}: NUL characters are not allowed")
