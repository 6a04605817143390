"""The page of invariants: looks when asked to, says what is broken, and is for those who may read workers."""

import re

import pytest

from attune_project.console import admin_invariants
from attune_project.console.invariants import INVARIANTS, Invariant
from rules.models import Enforcement
from tests.admin.conftest import page


@pytest.fixture
def address():
    return page("console_invariants")


def test_it_lists_every_invariant_and_looks_at_none(desk, address, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        shown = desk.get(address).content.decode()

    assert all(one.name in shown for one in INVARIANTS)
    assert "holds\n" not in shown


def test_it_says_what_is_broken_with_a_link_and_what_to_do(desk, address, chain):
    enforcement = chain().enforcement
    Enforcement.objects.filter(pk=enforcement.pk).update(execution=None)

    shown = desk.post(address).content.decode()

    assert "1 broken" in shown
    assert page("rules_enforcement_change", enforcement.pk) in shown
    assert "Set the enforcement back to status created" in shown
    assert shown.index("enforcement_without_execution") < shown.index("event_not_decided")


def test_one_is_looked_at_alone(desk, address, chain):
    chain()

    shown = desk.post(address, {"only": "event_not_decided"}).content.decode()

    assert shown.count("holds\n") == 1


def test_what_could_not_be_looked_at_is_said(desk, address, monkeypatch):
    monkeypatch.setattr(
        admin_invariants, "INVARIANTS", (Invariant("hopeless", "It is.", "Divide.", "SELECT 1 / 0 AS one"),)
    )

    assert "not looked at: DataError: division by zero" in desk.post(address).content.decode()


def test_values_are_escaped(desk, address, chain):
    enforcement = chain().enforcement
    Enforcement.objects.filter(pk=enforcement.pk).update(execution=None, rule_ref="<script>alert(1)</script>")

    assert "<script>alert(1)" not in desk.post(address).content.decode()


def test_it_is_in_the_navigation_and_only_for_those_who_may(desk, browser, identity_with, address):
    stranger = browser(identity_with({"resource": "rules", "actions": ["read"]}))

    assert address in desk.get("/admin/").content.decode()
    assert address not in stranger.get("/admin/").content.decode()
    assert stranger.get(address).status_code == 403
    assert stranger.post(address).status_code == 403


def test_every_page_that_an_invariant_links_to_is_there(db):
    assert all(page(f"{one.of}_change", 1) for one in INVARIANTS if one.of)


def test_what_is_linked_has_an_id(db):
    assert all(re.search(r"\bid\b", one.query.partition("FROM")[0]) for one in INVARIANTS if one.of)
