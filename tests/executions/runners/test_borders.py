"""Words that overlap themselves, in steps that grow with their length only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executions.runners import borders, masking
from executions.runners.masking import MASK, Masker

words = st.text(alphabet="ab", min_size=1, max_size=12)
LONG = 20_000


class Counted(str):
    """A word that counts how often its letters are looked at."""

    looks = 0

    def __getitem__(self, key):
        Counted.looks += isinstance(key, int)
        return super().__getitem__(key)


@pytest.fixture
def looks():
    Counted.looks = 0
    return lambda: Counted.looks


def ends_with(text, word):
    return max(length for length in range(len(word)) if text.endswith(word[:length]))


@given(words)
def test_failures_are_the_longest_borders_of_each_beginning(word):
    beginnings = [word[: length + 1] for length in range(len(word))]

    assert borders.failures(word) == [ends_with(one[1:], one) for one in beginnings]


@given(st.text(alphabet="ab", max_size=40), words)
def test_an_overlap_is_the_longest_beginning_at_the_end(text, word):
    assert borders.overlap(text, word, borders.failures(word)) == ends_with(text, word)


@given(st.text(alphabet="ab", max_size=40), words)
def test_runs_cover_each_place_of_a_word(text, word):
    period = len(word) - borders.failures(word)[-1]
    places = [place for place in range(len(text)) if text.startswith(word, place)]

    found = list(borders.runs(text, word, period))

    covered = {place for start, stop in found for place in range(start, stop)}
    assert covered == {place + offset for place in places for offset in range(len(word))}


@pytest.mark.parametrize("word", ["a" * LONG, "ab" * (LONG // 2), "a" * (LONG - 1) + "b"])
def test_steps_grow_with_the_length_and_not_with_its_square(looks, word):
    lengths = borders.failures(Counted(word))
    borders.overlap("a" * (LONG - 2) + "c", Counted(word), lengths)

    assert looks() < 8 * LONG


def test_a_flood_of_beginnings_of_a_repetitive_secret_is_gone_through_once(looks, monkeypatch):
    """Each place of the text is a beginning, and none of them is one in the end."""
    tried = []
    monkeypatch.setattr(masking.borders, "overlap", lambda *given: tried.append(1) or 0)

    Masker(["a" * LONG + "b"]).stream().feed("a" * (LONG - 1) + "c")

    assert len(tried) <= 20  # once for each spelling


def test_a_repetitive_secret_over_and_over_is_one_mask():
    assert Masker(["ab" * LONG]).text(f"<{'ab' * LONG * 3}>") == f"<{MASK}>"
    assert Masker(["abcdef"]).text("abcdefabcdef") == MASK * 2
