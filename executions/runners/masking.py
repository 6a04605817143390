"""Take secrets, and what PostgreSQL cannot store, out of what an action wrote."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from executions.runners import borders

MASK = "********"
SHORTEST = 6  # a shorter secret would blank out ordinary words
STEP = 64 * 1024  # characters that are looked through at once
HEAD = 8  # characters of a secret by which its beginnings are looked for
TRIES = 16  # places that look like one, before the rest is gone through letter by letter

# json.dumps of a lone surrogate is not UTF-8, and jsonb refuses NUL.
_UNSTORABLE = dict.fromkeys([0, *range(0xD800, 0xE000)], "\ufffd")

Span = tuple[int, int]
Failures = dict[str, list[int]]  # of those secrets for which they were needed


class Masker:
    """Replace every secret in text and in nested data; also its JSON, base64, hex and URL spellings.

    Secrets that overlap are one mask, whatever their order, so that none leaves its end behind.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long_enough = {secret for secret in secrets if len(secret) >= SHORTEST}
        self.spellings = frozenset(
            long_enough | {form for secret in long_enough for form in _forms(secret) if len(form) >= SHORTEST}
        )
        self._failures: Failures = {}

    def stream(self) -> Masking:
        """Begin a text that comes in pieces."""
        return Masking(self.spellings, self._failures)

    def text(self, text: str) -> str:
        if not self.spellings:
            return storable(text)
        masking = self.stream()
        pieces = [masking.feed(text[start : start + STEP]) for start in range(0, len(text), STEP)]
        return "".join(pieces) + masking.end()

    def data(self, value: Any) -> Any:
        """Return a copy of JSON data without secrets. Its depth must have been checked."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.data(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.data(item) for item in value]
        if self.spellings and not isinstance(value, bool) and isinstance(value, int | float):
            return MASK if str(value) in self.spellings else value
        return value


class Masking:
    """A text that comes in pieces. However it is cut into pieces, the masked text is the same.

    The end of what came is held back while it could be the beginning of a secret.
    """

    def __init__(self, spellings: frozenset[str], failures: Failures) -> None:
        self._spellings = spellings
        self._failures = failures
        self._held = ""
        self._covered = 0  # characters of `_held` under a mask that is out already

    def feed(self, text: str) -> str:
        """Return what can be told by now."""
        if not self._spellings:
            return storable(text)
        self._held += text
        unsure = max(_overlap(self._held, secret, self._failures) for secret in self._spellings)
        return self._emit(len(self._held) - unsure)

    def end(self) -> str:
        """Return the rest of a text that ended by itself."""
        return self._emit(len(self._held))

    def cut(self) -> str:
        """Return the rest of a text that was cut: it may not end with the beginning of a secret."""
        return ""

    def _emit(self, end: int) -> str:
        """Let go of the first `end` characters; a mask that reaches beyond them is told now."""
        if end == 0:
            return ""
        told, position = [], 0
        for start, stop in self._spans():
            if start >= end:
                break
            told.append(self._held[position:start])
            if start or not self._covered:
                told.append(MASK)
            position = stop
        told.append(self._held[position:end])
        self._held, self._covered = self._held[end:], max(0, position - end)
        return storable("".join(told))

    def _spans(self) -> Iterator[Span]:
        """Return what is to be covered, in order; what overlaps is one span."""
        found = sorted(
            span for secret in self._spellings for span in _places(self._held, secret, self._failures)
        )
        stop = self._covered
        start = 0 if stop else -1
        for first, last in found:
            if first >= stop:
                if start >= 0:
                    yield start, stop
                start = first
            stop = max(stop, last)
        if start >= 0:
            yield start, stop


def _places(text: str, secret: str, known: Failures) -> Iterator[Span]:
    if secret not in text:
        return
    period = len(secret) - _failures(secret, known)[-1]
    yield from borders.runs(text, secret, period)


def _overlap(text: str, secret: str, known: Failures) -> int:
    """Return the length of the longest beginning of a secret, not all of it, that the text ends with.

    In steps that grow with the length of the secret, however much that resembles itself.
    """
    head = secret[:HEAD]
    place = text.find(head, max(0, len(text) - len(secret) + 1))
    tries = TRIES
    while place >= 0:
        if secret.startswith(text[place:]):
            return len(text) - place
        tries -= 1
        if not tries:
            return borders.overlap(text, secret, _failures(secret, known))
        place = text.find(head, place + 1)
    place = text.find(head[0], max(0, len(text) - len(head) + 1))
    while place >= 0 and not head.startswith(text[place:]):
        place = text.find(head[0], place + 1)
    return len(text) - place if place >= 0 else 0


def _failures(secret: str, known: Failures) -> list[int]:
    if secret not in known:
        known[secret] = borders.failures(secret)
    return known[secret]


def storable(text: str) -> str:
    """Replace NUL and lone surrogates."""
    if "\x00" not in text and text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.translate(_UNSTORABLE)
    return text.replace("\x00", "\ufffd")


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogatepass")
    for ascii_only in (True, False):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
    yield quote(raw, safe="")
    yield quote_plus(raw)
    yield raw.hex()
    yield raw.hex().upper()
    for encode in (b64encode, urlsafe_b64encode):
        for before in range(3):
            yield _base64_core(raw, before, encode)


def _base64_core(raw: bytes, before: int, encode: Callable[[bytes], bytes]) -> str:
    """Return the letters that a secret makes in base64, wherever it stands in what is encoded.

    `before` counts the bytes in front of it, modulo 3; the letters that its neighbours share are left out.
    """
    letters = encode(b"\0" * before + raw).decode().rstrip("=")
    first = (before * 8 + 5) // 6
    last = (before + len(raw)) * 8 // 6
    return letters[first:last]
