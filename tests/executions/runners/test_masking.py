import base64
import urllib.parse
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executions.runners.capture import Capture, Captured
from executions.runners.masking import MASK, Masker
from executions.runners.transcript import Transcript, last_line, transcribe

SECRET = "hunter22"

# Few letters, so that secrets overlap themselves and each other, and texts are full of their beginnings.
few = st.text(alphabet="ab", min_size=6, max_size=9)
texts = st.text(alphabet="ab\n\u00e9", max_size=60)


def masked(pieces: list[str], *secrets: str) -> str:
    masking = Masker(secrets).stream()
    return "".join([masking.feed(piece) for piece in pieces]) + masking.end()


def cut_up(whole, places):
    borders = sorted({0, len(whole), *(place % (len(whole) + 1) for place in places)})
    return [whole[a:b] for a, b in pairwise(borders)]


@given(texts, st.lists(few, max_size=3), st.lists(st.integers(0, 60), max_size=8))
def test_however_a_text_is_cut_its_masked_text_is_the_same(text, secrets, places):
    assert masked(cut_up(text, places), *secrets) == masked([text], *secrets)


@given(st.text(alphabet="ab", max_size=40), st.lists(few, min_size=1, max_size=3))
def test_what_is_masked_is_what_any_secret_covers(text, secrets):
    covered = [
        any(text.startswith(secret, start) and start <= place < start + len(secret)
            for secret in secrets for start in range(len(text)))
        for place in range(len(text))
    ]  # fmt: skip

    kept = masked([text], *secrets).replace(MASK, "")

    assert kept == "".join(letter for letter, hidden in zip(text, covered, strict=True) if not hidden)


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_however_bytes_are_cut_their_text_is_the_same(raw, places):
    transcript = Transcript(Masker([SECRET]))

    text = "".join([transcript.feed(piece) for piece in cut_up(raw, places)]) + transcript.end()

    assert text == raw.decode("utf-8", "replace").replace("\x00", "\ufffd")


@given(st.lists(st.sampled_from([b"hunter22", b"hunt", b"\xc3\xa9", b"\xff", b"\n"]), max_size=20), st.data())
def test_at_the_limit_the_text_is_the_same_however_it_came(words, data):
    raw = b"".join(words)
    limit = data.draw(st.integers(0, len(raw)))
    places = data.draw(st.lists(st.integers(0, 60), max_size=8))
    transcript, capture = Transcript(Masker([SECRET]), limit), Capture(limit)

    live = "".join([transcript.feed(piece) for piece in cut_up(raw, places)]) + transcript.end()
    capture.add(raw)

    assert live == transcribe(capture.close(), Masker([SECRET]))
    assert SECRET not in live


def test_an_empty_piece_changes_nothing():
    masking = Masker(["nested-one", "listed-one"]).stream()

    assert masking.feed("a listed-one") + masking.feed("") + masking.end() == f"a {MASK}"


@pytest.mark.parametrize("before", [b"", b"a", b"bc"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_shows_nothing_of_a_secret_wherever_it_stands(before, encode):
    secret = "correct?horse>battery~staple"
    whole = encode(before + secret.encode() + b" and more").decode()

    shown = Masker([secret]).text(whole)

    head, _, tail = shown.partition(MASK)
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(whole) - len(head) - len(tail) >= len(secret) * 8 // 6 - 2


@pytest.mark.parametrize("spell", [bytes.hex, lambda raw: raw.hex().upper(), urllib.parse.quote_plus])
def test_other_spellings_are_masked_too(spell):
    secret = "p\u00e4ss word/1"

    assert Masker([secret]).text(f"<{spell(secret.encode())}>") == f"<{MASK}>"


def test_a_secret_that_straddles_many_pieces_is_masked():
    assert masked(list("it is hunter22!"), SECRET) == f"it is {MASK}!"


def test_nothing_is_held_back_that_is_no_beginning_of_a_secret():
    masking = Masker([SECRET]).stream()

    assert masking.feed("it is hung") == "it is hung"
    assert masking.feed(" hunt") == " "
    assert masking.feed("ing") == "hunting"


def test_a_flood_of_a_secret_that_overlaps_itself_is_held_back_no_longer_than_the_secret():
    masking = Masker(["aaaaaa"]).stream()

    told = [masking.feed("a" * 1000) for _ in range(50)]

    assert "".join(told) == MASK
    assert len(masking._held) < 6


@pytest.mark.parametrize("killed", [False, True])
def test_what_a_killed_action_began_to_say_of_a_secret_is_dropped(killed):
    transcript = Transcript(Masker([SECRET]))

    text = transcript.feed(b"it is hunter") + transcript.end(killed=killed)

    assert text == ("it is " if killed else "it is hunter")


def test_half_a_character_and_half_a_secret_at_the_limit_are_dropped():
    assert (
        Transcript(Masker([SECRET]), limit=10).feed(b"it is hunter22")
        == "it is \n[output cut after 10 bytes]"
    )
    assert Transcript(Masker(), limit=2).feed("aé".encode()) == "a\n[output cut after 2 bytes]"


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"", ""),
        (b"\n \n", ""),
        (b"one\ntwo\n\n", "two"),
        (b"one\n  two", "two"),
        (b"10%\r20%\rfailed", "failed"),
        (b"x\n" + b" " * 300_000 + b"y" * 300_000, "yyyyyy"),
    ],
)
def test_the_last_line(raw, line):
    assert last_line(Captured(raw), Masker(), 6) == line


def test_the_last_line_of_much_output_is_found_and_masked():
    capture = Capture()
    capture.add(b"noise\n" * 100_000 + b"wrong: hunter22\n")

    assert last_line(capture.close(), Masker([SECRET]), 2000) == f"wrong: {MASK}"
