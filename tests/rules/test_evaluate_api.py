"""Asking conditions about a payload."""

import pytest

from rules.models import RuleEvaluation
from sensors.models import Event

URL = "/api/v1/rules/evaluate"
HIGH = [{"field": "level", "operator": "gt", "value": 3}]


def ask(api, **body):
    return api.post(URL, body, format="json")


def test_a_match_with_its_clauses(api):
    answer = ask(api, conditions=HIGH, payload={"level": 5})

    clause = {"path": "level", "operator": "gt", "value": 5, "pattern": 3, "outcome": "matched"}
    assert answer.status_code == 200
    assert answer.json() == {
        "data": {"matched": True, "outcome": "matched", "reason": None, "clauses": [clause]}
    }


def test_a_non_match_says_why(api):
    said = ask(api, conditions=HIGH, payload={"level": 1}).json()["data"]

    assert (said["matched"], said["outcome"]) == (False, "not_matched")
    assert "level" in said["reason"]
    assert said["clauses"][0]["value"] == 1


def test_an_error_says_why(api):
    said = ask(api, conditions=HIGH, payload={"level": "high"}).json()["data"]

    assert (said["matched"], said["outcome"]) == (False, "error")
    assert said["reason"].startswith("conditions[0]")


def test_a_criteria_map(api):
    criteria = {"trigger.level": {"type": "equals", "pattern": 5}}

    assert ask(api, criteria=criteria, payload={"level": 5}).json()["data"]["matched"] is True


def test_no_conditions_are_always_true(api):
    assert ask(api).json()["data"] == {"matched": True, "outcome": "matched", "reason": None, "clauses": []}


def test_parameters_are_rendered_on_a_match_only(api):
    params = {"message": "{{ event.payload.level }}", "unit": "{{ event.config.params.unit }}"}
    asked = {"conditions": HIGH, "action_params": params, "trigger_params": {"unit": "m"}}

    match = ask(api, payload={"level": 5}, **asked).json()["data"]
    other = ask(api, payload={"level": 1}, **asked).json()["data"]

    assert match["rendered"] == {"message": 5, "unit": "m"}
    assert "rendered" not in other


def test_a_failing_template_is_an_error(api):
    said = ask(api, payload={"level": 5}, action_params={"message": "{{ 1 / 0 }}"}).json()["data"]

    assert (said["matched"], said["outcome"]) == (False, "error")
    assert said["reason"] == "action_params: message: division by zero"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"conditions": [{"field": "a", "operator": "near"}]}, "conditions[0].operator"),
        ({"criteria": {"a": {"type": "near", "pattern": 1}}}, "criteria.a.type"),
        ({"criteria": []}, "criteria"),
        ({"conditions": HIGH, "criteria": {"a": {"type": "exists"}}}, "criteria"),
        ({"action_params": {"a": "{{ 1 + }}"}}, "action_params.a"),
        ({"trigger_params": 1}, "trigger_params"),
    ],
)
def test_a_bad_question_is_named(api, body, field):
    answer = ask(api, **body)

    assert answer.status_code == 422
    assert field in answer.json()["details"], answer.json()


def test_nothing_is_stored(api, make_rule):
    rule = make_rule()

    ask(api, conditions=HIGH, payload={"level": "x"})

    rule.refresh_from_db()
    assert rule.last_error is None
    assert not Event.objects.exists()
    assert not RuleEvaluation.objects.exists()


def test_who_may_ask(stranger, client_of, nobody):
    assert ask(stranger).status_code == 401
    assert ask(client_of(nobody)).json()["error"] == "Permission denied: rules:read"
    assert stranger.get(URL).status_code == 401
