"""Values of the environment, refused when malformed."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from attune_project import environment


@pytest.mark.parametrize(
    ("text", "found"), [("", (8, 8)), ("4", (4, 4)), ("4-16", (4, 16)), (" 1-1 ", (1, 1))]
)
def test_bounds(monkeypatch, text, found):
    monkeypatch.setenv("ATTUNE_WORKER_SLOTS", text)

    assert environment.bounds("ATTUNE_WORKER_SLOTS", (8, 8), minimum=1) == found


@pytest.mark.parametrize("text", ["0", "4-", "-4", "16-4", "4-x", "4.5", "4-8-12"])
def test_bounds_that_are_none_are_named(monkeypatch, text):
    monkeypatch.setenv("ATTUNE_WORKER_SLOTS", text)

    with pytest.raises(ImproperlyConfigured, match=f"ATTUNE_WORKER_SLOTS='{text}'"):
        environment.bounds("ATTUNE_WORKER_SLOTS", (8, 8), minimum=1)
