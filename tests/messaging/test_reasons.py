"""Reasons are bounded and hold no secrets."""

from django.db import DataError, IntegrityError, OperationalError

from attune_project.messaging.reasons import LONGEST, blames_row, bounded, masked, words_of


def test_a_traceback_keeps_its_cause_and_loses_quoted_values():
    try:
        try:
            raise ValueError("inner")
        except ValueError as inner:
            raise IntegrityError(
                "duplicate key\nDETAIL:  Key (name)=(the secret) exists\nand goes on"
            ) from inner
    except IntegrityError as problem:
        words = words_of(problem)

    assert "ValueError: inner" in words
    assert "duplicate key" in words
    assert "the secret" not in words
    assert "and goes on" not in words


def test_it_is_bounded_in_its_middle():
    text = bounded("a" * LONGEST + "\x00end")

    assert len(text) < LONGEST + 100
    assert text.startswith("aaa")
    assert text.endswith("\ufffdend")


def test_secrets_are_masked(settings):
    settings.SECRET_KEY = "hush-hush-hush"
    settings.BROKER_URL = "amqp://user:p%40ssword@host//"

    text = masked("hush-hush-hush p@ssword p%40ssword postgresql://someone:else@db/attune")

    assert text == "******** ******** ******** postgresql://********@db/attune"


def test_who_is_to_blame():
    assert blames_row(ValueError())
    assert blames_row(DataError())
    assert blames_row(MemoryError())
    assert not blames_row(OperationalError())
