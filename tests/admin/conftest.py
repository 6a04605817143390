"""A whole chain from an event to an execution, and browsers that look at it."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.test import Client
from django.urls import reverse

from attune_project.identity.models import Identity
from rules.enforcing import enforce_pending
from rules.matching import match_pending
from rules.models import Enforcement
from sensors.models import Event
from tests.rules.conftest import (  # noqa: F401 (fixtures)
    _no_rules_of_another_test,
    action,
    happen,
    make_rule,
    pack,
    trigger,
)


def page(name: str, *args: object) -> str:
    """Return the address of a page: `page("rules_rule_changelist")`."""
    return reverse(f"admin:{name}", args=args)


@pytest.fixture
def browser() -> Callable[[Identity], Client]:
    """Return the client of a browser in which somebody has logged in."""

    def enter(identity: Identity) -> Client:
        identity.is_staff = True
        identity.save()
        client = Client()
        client.force_login(identity)
        return client

    return enter


@pytest.fixture
def desk(browser, administrator) -> Client:
    """The browser of the first administrator."""
    return browser(administrator)


@pytest.fixture
def chain(make_rule, happen):  # noqa: F811
    """Return a function that makes an event, its enforcement and its execution."""
    rule = make_rule(
        action_params={"message": "{{ event.payload.text }}", "token": "{{ event.payload.token }}"}
    )

    def make(text="hello") -> SimpleNamespace:
        event = happen({"text": text, "token": "s3cret"})
        match_pending(10)
        enforce_pending(10)
        enforcement = Enforcement.objects.get(event=event)
        event = Event.objects.get(pk=event.pk)
        return SimpleNamespace(
            rule=rule, event=event, enforcement=enforcement, execution=enforcement.execution
        )

    return make
