"""Times in the language: text in ISO 8601 (UTC, microseconds, Z) or RFC 2822; no offset means UTC."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# glibc pads to any width that a directive names (%1000000000d), so only plain directives pass.
_FORMAT = re.compile(r"(?:[^%]|%-?[aAbBcdDeFHIjmMpRSTuUVwWxXyYzZf%])*")


def now() -> str:
    return written(datetime.now(UTC))


def written(moment: datetime) -> str:
    """Write a time as the API does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read(text: str) -> datetime:
    """Read a time, or raise ValueError."""
    for reader in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = reader(text.strip())
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise ValueError("neither an ISO 8601 nor an RFC 2822 time")


def moment_of(value: str | float) -> datetime:
    """Read a time from text, or from seconds since 1970."""
    return read(value) if isinstance(value, str) else datetime.fromtimestamp(value, UTC)


def format_time(value: str | float, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return moment_of(value).astimezone(UTC).strftime(_checked(form))


def parse_time(value: str | float, form: str | None = None) -> str:
    if form is None:
        return written(moment_of(value))
    moment = datetime.strptime(str(value), _checked(form))
    return written(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _checked(form: str) -> str:
    if len(form) > 200 or not _FORMAT.fullmatch(form):
        raise ValueError("not a form of time")
    return form


def to_human_time(seconds: float) -> str:
    """Write seconds as people do: 3725 is 1h2m5s."""
    rest = round(abs(seconds))
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if seconds < 0 else "") + ("".join(parts) or "0s")
