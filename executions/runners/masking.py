"""Take secrets, and what PostgreSQL cannot store, out of what an action wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

MASK = "********"
SHORTEST = 6  # a shorter secret would blank out ordinary words

# json.dumps of a lone surrogate is not UTF-8, and jsonb refuses NUL.
_UNSTORABLE = dict.fromkeys([0, *range(0xD800, 0xE000)], "\ufffd")


class Masker:
    """Replace every secret in text and in nested data; also its JSON spelling."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long_enough = {secret for secret in secrets if len(secret) >= SHORTEST}
        spellings = long_enough | {form for secret in long_enough for form in _json_forms(secret)}
        # The longest first: a secret that contains another must not leave its ends behind.
        self._spellings = sorted(spellings, key=lambda text: (-len(text), text))

    def text(self, text: str) -> str:
        for secret in self._spellings:
            text = text.replace(secret, MASK)
        return storable(text)

    def cut(self, text: str) -> str:
        """Drop the beginning of a secret from the end of a text that was cut there."""
        tails = (_overlap(text, secret) for secret in self._spellings)
        return text[: len(text) - max(tails, default=0)]

    def data(self, value: Any) -> Any:
        """Return a copy of JSON data without secrets. Its depth must have been checked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.data(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.data(item) for item in value]
        if self._spellings and not isinstance(value, bool) and isinstance(value, int | float):
            return MASK if str(value) in self._spellings else value
        return value


def storable(text: str) -> str:
    """Replace NUL and lone surrogates."""
    if "\x00" not in text and text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.translate(_UNSTORABLE)
    return text.replace("\x00", "\ufffd")


def _json_forms(secret: str) -> set[str]:
    return {json.dumps(secret, ensure_ascii=ascii)[1:-1] for ascii in (True, False)}


def _overlap(text: str, secret: str) -> int:
    """Return the length of the longest beginning of a secret that the text ends with."""
    lengths = range(min(len(secret) - 1, len(text)), 0, -1)
    return next((length for length in lengths if text.endswith(secret[:length])), 0)
