"""Regular expressions that can't run away.

RE2's time is at most pattern size x text length, whatever the pattern, so the limit of 100 ms is
held by refusing a product that could take longer (about 5 ns a unit) and needs no clock. What RE2
can't do (backreferences, look-around) is refused when a rule is saved.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import re2

MAX_PATTERN = 8192
MAX_WORK = 20_000_000
# Per compiled pattern; thousands may be cached. RE2's own default is 8 MiB.
MAX_MEMORY = 1 << 20

# Perl's classes are ASCII in RE2 and Unicode in Python; rules are written for the latter.
_UNICODE_CLASSES = {
    r"\d": r"\p{Nd}",
    r"\w": r"\p{L}\p{N}\p{M}_",
    r"\s": r"\s\x0b\x1c-\x1f\x85\p{Z}",
}
_TOKEN = re.compile(r"\\.|\[\^?\]?|\]|.", re.DOTALL)
_LOOK_AROUND = re.compile(r"\(\?<?[=!]")
_BACKREFERENCE = re.compile(r"\\[1-9]|\(\?P=")


class RegexError(ValueError):
    """A pattern that RE2 refuses, or a text too long for it; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Regex:
    """A compiled pattern whose every search is bounded."""

    pattern: str
    compiled: Any
    size: int

    def search(self, text: str) -> Any:
        """Return the first match anywhere in `text`, or None."""
        self._bound(text)
        return self.compiled.search(text)

    def match(self, text: str) -> Any:
        """Return the match at the start of `text`, or None."""
        self._bound(text)
        return self.compiled.match(text)

    def finditer(self, text: str) -> Iterator[Any]:
        """Yield the matches from left to right; each step is bounded, their number is the caller's care."""
        self._bound(text)
        found: Iterator[Any] = self.compiled.finditer(text)
        return found

    def _bound(self, text: str) -> None:
        # Four bytes a character at most; the exact length would cost a pass over every text.
        if len(text) * self.size > MAX_WORK:
            raise RegexError(f"the text ({len(text)} characters) is too long for this regular expression")
        if not text.isascii() and re.search("[\ud800-\udfff]", text):
            raise RegexError("the text holds half of a surrogate pair")


@functools.lru_cache(maxsize=1024)
def compile_regex(pattern: str, *, ignore_case: bool = False, dot_all: bool = False) -> Regex:
    """Compile a pattern, or raise RegexError; Python's meaning of \\d \\w \\s, RE2's of the rest."""
    if len(pattern) > MAX_PATTERN:
        raise RegexError(f"the regular expression is longer than {MAX_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    options.dot_nl = dot_all
    options.max_mem = MAX_MEMORY
    try:
        compiled = re2.compile(_unicode_classes(pattern), options)
    except (re2.error, UnicodeError) as error:
        raise RegexError(f"invalid regular expression {pattern[:80]!r}: {_reason(pattern, error)}") from None
    return Regex(pattern, compiled, compiled.programsize)


def _reason(pattern: str, error: Exception) -> str:
    if _LOOK_AROUND.search(pattern):
        return "look-ahead and look-behind are not supported"
    if _BACKREFERENCE.search(pattern):
        return "backreferences are not supported"
    if isinstance(error, UnicodeError):
        return "it holds half of a surrogate pair"
    cause = error.args[0] if error.args else error
    return cause.decode("utf-8", "replace") if isinstance(cause, bytes) else str(cause)


def _unicode_classes(pattern: str) -> str:
    r"""Let \d, \w and \s mean all of Unicode; \D, \W and \S outside of a character class only."""
    if "\\" not in pattern:
        return pattern
    in_class = False
    parts = []
    for piece in _TOKEN.findall(pattern):
        parts.append(_widen(piece, in_class))
        if piece[0] == "[":
            in_class = True
        elif piece == "]":
            in_class = False
    return "".join(parts)


def _widen(token: str, in_class: bool) -> str:
    wide = _UNICODE_CLASSES.get(token.lower())
    if wide is None or (in_class and token.isupper()):
        return token
    if in_class:
        return wide
    return f"[{wide}]" if token.islower() else f"[^{wide}]"
