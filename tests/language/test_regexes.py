import pytest

from attune_project.language.regexes import RegexError, compile_regex


def found(pattern: str, text: str) -> bool:
    return compile_regex(pattern).search(text) is not None


def test_classes_mean_all_of_unicode() -> None:
    assert found(r"^\w+$", "волк_1")
    assert found(r"^[\w-]+$", "волк-1")
    assert found(r"^\d$", "٣")
    assert found(r"^\s$", "\u2003")
    assert not found(r"\W", "волк")
    assert found(r"^\\d$", r"\d")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(?=a)b", "look-ahead and look-behind are not supported"),
        (r"(?<!a)b", "look-ahead and look-behind are not supported"),
        (r"(a)\1", "backreferences are not supported"),
        (r"(", "missing"),
        (r"a{2,1}", "invalid repetition"),
        ("\ud800", "half of a surrogate pair"),
        ("a" * 9000, "longer than 8192"),
    ],
)
def test_what_the_engine_cannot_do_is_refused_with_its_reason(pattern: str, reason: str) -> None:
    with pytest.raises(RegexError, match=reason):
        compile_regex(pattern)


def test_a_catastrophic_pattern_answers() -> None:
    """An engine that goes back would not within the age of the world."""
    assert not found(r"^(a+)+$", "a" * 10_000 + "b")


def test_too_much_text_for_a_large_pattern_is_refused() -> None:
    with pytest.raises(RegexError, match="too long for this regular expression"):
        found(r"((a|b)?){1000}c", "ab" * 500_000)


def test_broken_text_is_refused() -> None:
    with pytest.raises(RegexError, match="surrogate"):
        found("a", "\ud800")
