"""Environment variables, read once and refused at start when malformed."""

import math
import os
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "") or default


def flag(name: str, default: bool = False) -> bool:
    raw = os.environ.get(name, "").strip().lower()
    if raw in ("1", "true", "yes", "on"):
        return True
    if raw in ("0", "false", "no", "off"):
        return False
    if raw:
        raise ImproperlyConfigured(f"{name}={raw!r}: expected true or false")
    return default


def number(name: str, default: float, *, minimum: float = 0) -> float:
    raw = os.environ.get(name, "").strip()
    if not raw:
        return default
    try:
        value = float(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={raw!r}: expected a number") from None
    if math.isnan(value) or value < minimum:
        raise ImproperlyConfigured(f"{name}={raw!r}: expected a number of at least {minimum:g}")
    return value


def integer(name: str, default: int, *, minimum: int = 0) -> int:
    value = number(name, default, minimum=minimum)
    if value != int(value):
        raise ImproperlyConfigured(f"{name}={value!r}: expected a whole number")
    return int(value)


def bounds(name: str, default: tuple[int, int], *, minimum: int = 0) -> tuple[int, int]:
    """Return `4-16` as (4, 16), and `8` as (8, 8)."""
    raw = os.environ.get(name, "").strip()
    if not raw:
        return default
    least, dash, most = raw.partition("-")
    try:
        found = int(least), int(most if dash else least)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={raw!r}: expected a whole number, or two as in 4-16") from None
    if not minimum <= found[0] <= found[1]:
        raise ImproperlyConfigured(f"{name}={raw!r}: expected at least {minimum}, the smaller one first")
    return found


def span(name: str, default: range) -> range:
    """Return `64000-64999`, both ends included, as a range."""
    raw = os.environ.get(name, "").strip()
    if not raw:
        return default
    first, _, last = raw.partition("-")
    if not (first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last)):
        raise ImproperlyConfigured(f"{name}={raw!r}: expected first-last, such as 64000-64999")
    return range(int(first), int(last) + 1)


def choice(name: str, options: tuple[str, ...], default: str) -> str:
    raw = os.environ.get(name, "").strip() or default
    if raw not in options:
        raise ImproperlyConfigured(f"{name}={raw!r}: expected one of {', '.join(options)}")
    return raw


def words(name: str, default: str = "") -> list[str]:
    """Return a comma-separated list, without blanks."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def pairs(name: str) -> dict[str, str]:
    """Return `zone=a,disk=ssd` as a map."""
    found = {}
    for word in words(name):
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise ImproperlyConfigured(f"{name}: expected name=value pairs, got {word!r}")
        found[key.strip()] = value.strip()
    return found


def database(url: str) -> dict[str, str | int]:
    """Turn `postgresql://user:password@host:port/name?host=/socket` into Django's keys.

    A `host` in the query wins, so that a socket folder can be named (as libpq does).
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or len(parts.path) < 2:
        raise ImproperlyConfigured("DATABASE_URL: expected postgresql://user:password@host:port/name")
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    try:
        port = parts.port
    except ValueError:
        raise ImproperlyConfigured("DATABASE_URL: the port is not a number") from None
    return {
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or query.get("user", "")),
        "PASSWORD": unquote(parts.password or query.get("password", "")),
        "HOST": query.get("host", unquote(parts.hostname or "")),
        "PORT": query.get("port", str(port or "")),
    }
