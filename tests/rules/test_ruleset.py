"""The rules as a matcher uses them."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from attune_project.packs.models import Pack
from attune_project.statements import rows_of
from rules import ruleset
from rules.changes import delete_rule, save_rule, set_enabled
from rules.models import Rule, RuleVersion


def current():
    (state,) = rows_of(f"SELECT {ruleset.STATE}")
    return ruleset.at(state)


def refs():
    return [rule.ref for rule in current().by_trigger.get("demo.alarm", [])]


def test_enabled_rules_with_their_version_and_pack(make_rule, pack):
    pack.config = {"limit": 2}
    pack.save()
    rule = make_rule(trigger_params={"room": "a"})
    make_rule("demo.off", enabled=False)

    compiled = current().by_id[rule.pk]

    assert refs() == ["demo.rule"]
    assert (compiled.version, compiled.pack_ref, compiled.backstop) == (1, "demo", False)
    assert (compiled.pack_config, compiled.trigger_params) == ({"limit": 2}, {"room": "a"})


def test_standard_rules_stand_before_backstops(make_rule):
    make_rule("demo.net", type="backstop")
    make_rule("demo.first")

    assert refs() == ["demo.first", "demo.net"]


def test_an_unchanged_set_is_one_small_query(make_rule, django_assert_num_queries):
    make_rule()
    first = current()

    with django_assert_num_queries(1):
        assert current() is first


def test_every_change_is_seen(make_rule):
    rule = make_rule()
    seen = [refs()]
    set_enabled(rule, False)
    seen.append(refs())
    set_enabled(rule, True)
    seen.append(refs())
    delete_rule(rule)
    seen.append(refs())

    assert seen == [["demo.rule"], [], ["demo.rule"], []]


def test_a_change_of_a_pack_s_settings_is_seen(make_rule):
    rule = make_rule()
    current()
    pack = Pack.objects.get()
    pack.config = {"limit": 9}
    pack.save()

    assert current().by_id[rule.pk].pack_config == {"limit": 9}


def test_a_rule_that_does_not_compile_stays(make_rule):
    rule = make_rule()
    rule.conditions = [{"field": "a", "operator": "near"}]
    save_rule(rule)

    compiled = current().by_id[rule.pk]

    assert compiled.conditions is None
    assert "conditions[0].operator" in compiled.broken


def test_a_pack_that_was_changed_earlier_than_another_is_seen_all_the_same(make_rule, pack):
    """Transactions commit in another order than they began: the newest time is not enough."""
    make_rule()
    Pack.objects.create(ref="newer", label="Newer", version="1.0.0")
    Pack.objects.filter(pk=pack.pk).update(updated=datetime(2026, 1, 1, tzinfo=UTC))
    current()

    Pack.objects.filter(pk=pack.pk).update(config={"limit": 9}, updated=datetime(2026, 1, 2, tzinfo=UTC))

    (rule,) = current().by_id.values()
    assert rule.pack_config == {"limit": 9}


@pytest.fixture
def compiled(monkeypatch):
    """The refs of the rules that are compiled from here on."""
    refs = []
    whole = ruleset.compile_rule
    monkeypatch.setattr(ruleset, "compile_rule", lambda row: refs.append(row["ref"]) or whole(row))
    return refs


def test_of_many_rules_only_the_changed_one_is_compiled(make_rule, compiled):
    rules = [make_rule(f"demo.r{number}") for number in range(5)]
    current()
    compiled.clear()

    set_enabled(rules[1], False)
    rules[3].conditions = [{"field": "a", "operator": "exists", "value": True}]
    save_rule(rules[3])

    assert refs() == ["demo.r0", "demo.r2", "demo.r3", "demo.r4"]
    assert current().by_id[rules[3].pk].raw_conditions == rules[3].conditions
    assert compiled == ["demo.r3"]


def test_a_rule_that_moves_to_another_trigger_leaves_its_own(make_rule):
    stays, moves = make_rule(), make_rule("demo.moves")
    current()

    moves.trigger_ref = "demo.other"
    save_rule(moves)

    assert refs() == [stays.ref]
    assert [rule.ref for rule in current().by_trigger["demo.other"]] == ["demo.moves"]


def test_a_trigger_whose_last_rule_went_has_none(make_rule):
    rule = make_rule()
    current()

    delete_rule(rule)

    assert current().by_trigger == {}


def test_a_changed_pack_compiles_no_rule_anew(make_rule, pack, compiled):
    rule = make_rule()
    current()
    compiled.clear()
    pack.config = {"limit": 9}
    pack.save()

    assert current().by_id[rule.pk].pack_config == {"limit": 9}
    assert compiled == []


def test_a_database_that_was_put_back_is_read_anew(make_rule):
    """Its revisions count on from an earlier one, so the same number means other rules."""
    rule, other = make_rule(), make_rule("demo.other")
    current()
    RuleVersion.objects.filter(rule_id=other.pk).delete()
    Rule.objects.filter(pk=other.pk).delete()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ruleset_revision SET revision = revision - 1")
    newer = make_rule("demo.newer")
    set_enabled(rule, False)

    assert refs() == [newer.ref]


def test_rules_that_went_without_a_word_are_missed(make_rule):
    gone, stays = make_rule(), make_rule("demo.stays")
    current()
    Rule.objects.filter(pk=gone.pk).delete()
    save_rule(stays)

    assert refs() == ["demo.stays"]
