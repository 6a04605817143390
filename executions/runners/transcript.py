"""From the bytes of a stream to the text that is kept: decoded, masked, and cut at the limit."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from executions.runners.capture import LIMIT, Captured
from executions.runners.masking import Masker

_LINE_END = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")  # as str.splitlines


class Transcript:
    """One stream as text. However its bytes are cut into pieces, the text is the same."""

    def __init__(self, masker: Masker, limit: int = LIMIT) -> None:
        self._masking = masker.stream()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._limit = limit
        self._taken = 0
        self._over = False

    def feed(self, chunk: bytes) -> str:
        """Return what can be told by now. Beyond `limit` bytes there is a notice, and then nothing."""
        if self._over:
            return ""
        kept = chunk[: self._limit - self._taken]
        self._taken += len(kept)
        text = self._masking.feed(self._decoder.decode(kept))
        return text + self.cut() if len(kept) < len(chunk) else text

    def cut(self) -> str:
        """End here, though there was more: half a character and half a secret are dropped."""
        if self._over:
            return ""
        self._over = True
        return self._masking.cut() + notice(self._taken)

    def end(self, *, killed: bool = False) -> str:
        """Return the rest of a stream that has ended; of a killed action half a secret is dropped."""
        if self._over:
            return ""
        self._over = True
        text = self._masking.feed(self._decoder.decode(b"", final=True))
        return text + (self._masking.cut() if killed else self._masking.end())


def pieces_of(captured: Captured, masker: Masker, *, killed: bool = False) -> Iterator[str]:
    """Return the text of a captured stream, piece by piece."""
    transcript = Transcript(masker)
    for piece in captured.pieces():
        yield transcript.feed(piece)
    yield transcript.cut() if captured.truncated else transcript.end(killed=killed)


def transcribe(captured: Captured, masker: Masker, *, killed: bool = False) -> str:
    """Return the text of a captured stream."""
    if captured.spool is None and not captured.truncated and not killed:  # the way of every small output
        return masker.text(captured.head.decode("utf-8", "replace"))
    return "".join(pieces_of(captured, masker, killed=killed))


def last_line(captured: Captured, masker: Masker, length: int) -> str:
    """Return the last line that isn't blank, stripped, up to `length` characters of it."""
    last = line = ""
    for text in pieces_of(captured, masker):
        *ended, begun = _LINE_END.split(text)
        for one in ended:
            last, line = (line + one).strip()[:length] or last, ""
        line = (line + begun).lstrip()[:length]
    return line.strip() or last


def notice(size: int) -> str:
    return f"\n[output cut after {size} bytes]"
