"""How a text overlaps itself: the failure function of Knuth, Morris and Pratt. Pure.

Secrets such as a run of one letter are found at every place of a like text; comparing them place by place
would take the square of their length.
"""

from __future__ import annotations

from collections.abc import Iterator


def failures(word: str) -> list[int]:
    """Return for each beginning of a word the length of the longest shorter beginning that it ends with."""
    lengths = [0] * len(word)
    length = 0
    for place in range(1, len(word)):
        length = _advance(word, lengths, length, word[place])
        lengths[place] = length
    return lengths


def overlap(text: str, word: str, lengths: list[int]) -> int:
    """Return the length of the longest beginning of a word, not all of it, that the text ends with."""
    length = 0
    for letter in text[max(0, len(text) - len(word) + 1) :]:
        length = _advance(word, lengths, length, letter)
    return length


def _advance(word: str, lengths: list[int], length: int, letter: str) -> int:
    """Return how much of the word has been seen after one more letter; it must not be all of it before."""
    while length and word[length] != letter:
        length = lengths[length - 1]
    return length + (word[length] == letter)


def runs(text: str, word: str, period: int) -> Iterator[tuple[int, int]]:
    """Return where a word stands in a text, in order; places that overlap by its period are one span.

    `period` is the least distance of two places that overlap: its length less its last failure.
    """
    tail = word[len(word) - period :]
    start = text.find(word)
    while start >= 0:
        place = start
        while period < len(word) and text.startswith(tail, place + len(word)):
            place += period
        yield start, place + len(word)
        start = text.find(word, place + 1)
