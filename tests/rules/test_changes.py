"""Changes of rules: versions, revisions and timers."""

import pytest

from rules.changes import definition_of, delete_rule, locked_rule, next_revision, save_rule, set_enabled
from rules.models import Rule, RulesetRevision, RuleVersion
from sensors.models import Timer, Trigger


@pytest.fixture
def interval(pack):
    return Trigger.objects.create(ref="core.intervaltimer", label="Interval", pack=pack, pack_ref="demo")


def revision():
    return RulesetRevision.objects.get().revision


def test_a_version_holds_what_decides(make_rule, administrator):
    rule = make_rule(conditions=[{"field": "a", "operator": "exists"}])

    version = RuleVersion.objects.get()
    assert version.definition == definition_of(rule)
    assert version.definition["conditions"] == [{"field": "a", "operator": "exists"}]
    assert (version.number, version.revision, version.rule_ref) == (1, revision(), "demo.rule")


def test_revisions_count_over_all_rules(make_rule):
    make_rule("demo.a")
    make_rule("demo.b")

    first, second = RuleVersion.objects.order_by("id")
    assert second.revision == first.revision + 1 == revision()
    assert (first.number, second.number) == (1, 1)


def test_a_change_by_somebody_makes_the_rule_theirs(make_rule, administrator):
    rule = make_rule()

    save_rule(rule, by=administrator)

    assert Rule.objects.get().owner_identity == administrator
    assert RuleVersion.objects.latest("number").changed_by == administrator


def test_a_change_by_nobody_leaves_the_owner(make_rule, administrator):
    rule = make_rule(owner_identity=administrator)

    save_rule(rule)

    assert Rule.objects.get().owner_identity == administrator


def test_a_change_forgets_the_last_error(make_rule):
    rule = make_rule()
    rule.last_error = "was broken"

    save_rule(rule)

    assert Rule.objects.get().last_error is None


@pytest.mark.parametrize(("enabled", "versions"), [(True, 1), (False, 2)])
def test_switching_writes_a_version_only_when_something_changes(make_rule, enabled, versions):
    set_enabled(make_rule(), enabled)

    assert RuleVersion.objects.count() == versions


def test_deleting_writes_a_last_version(make_rule):
    rule = make_rule()
    rule_id, before = rule.pk, revision()

    delete_rule(rule)

    last = RuleVersion.objects.filter(rule_id=rule_id).latest("number")
    assert (last.definition["enabled"], last.revision) == (False, before + 1)
    assert not Rule.objects.exists()


def test_a_timer_goes_with_its_rule(make_rule, interval):
    rule = make_rule(trigger=interval, trigger_ref=interval.ref, trigger_params={"interval": 5})
    armed = Timer.objects.get(rule_id=rule.pk)

    set_enabled(rule, False)
    stopped = Timer.objects.get(rule_id=rule.pk)
    delete_rule(rule)

    assert (armed.enabled, armed.params) == (True, {"interval": 5})
    assert (stopped.enabled, stopped.next_fire_at) == (False, None)
    assert not Timer.objects.exists()


def test_a_rule_is_read_again_under_the_lock(make_rule):
    rule = make_rule()
    Rule.objects.update(label="Changed meanwhile")

    assert locked_rule(rule.pk).label == "Changed meanwhile"
    assert locked_rule(0) is None


@pytest.mark.django_db
def test_each_revision_is_new():
    assert next_revision() + 1 == next_revision() == revision()
