"""Group keys: equal values are one group, secrets aren't shown, and a key is never long."""

import json

import pytest

from executions.policies.queues import LONGEST_KEY, group_key

SECRET = {"token": {"type": "string", "secret": True}, "host": {"type": "string"}}


def key(parameters, config, schema=None):
    return group_key(tuple(parameters), config, schema)


def test_without_parameters_there_is_one_group():
    assert key([], {"host": "a"}) == ""


def test_a_key_is_the_values_as_json():
    assert key(["b", "a"], {"a": [1, {"y": 2, "x": None}], "b": "ä", "c": 3}) == (
        '{"a":[1,{"x":null,"y":2}],"b":"ä"}'
    )


def test_a_missing_value_is_null():
    assert key(["host"], {}) == key(["host"], {"host": None}) == '{"host":null}'


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (1e20, 10**20), ([1.0], [1]), ({"a": 2.0}, {"a": 2})])
def test_equal_numbers_are_one_group(one, other):
    assert key(["n"], {"n": one}) == key(["n"], {"n": other})


@pytest.mark.parametrize(("one", "other"), [(1, "1"), (True, 1), (None, "null"), (0.5, 0.25)])
def test_other_values_are_other_groups(one, other):
    assert key(["n"], {"n": one}) != key(["n"], {"n": other})


def test_a_secret_is_not_shown_and_still_tells_groups_apart():
    hidden = key(["token", "host"], {"token": "hunter2", "host": "a"}, SECRET)

    assert "hunter2" not in hidden
    assert json.loads(hidden)["host"] == "a"
    assert hidden == key(["token", "host"], {"token": "hunter2", "host": "a"}, SECRET)
    assert hidden != key(["token", "host"], {"token": "hunter3", "host": "a"}, SECRET)


def test_a_secret_within_a_value_hides_the_value():
    schema = {"login": {"type": "object", "properties": {"password": {"type": "string", "secret": True}}}}

    assert "hunter2" not in key(["login"], {"login": {"password": "hunter2"}}, schema)


def test_under_a_schema_that_cannot_be_read_every_value_is_hidden(monkeypatch):
    def breaks(_):
        raise LookupError("no such reference")

    monkeypatch.setattr("executions.policies.queues.schemas.secret_names", breaks)

    assert "hunter2" not in key(["token"], {"token": "hunter2"}, SECRET)


def test_long_values_are_cut_and_still_told_apart():
    one, other = (key(["x"], {"x": "y" * 10_000 + end}) for end in "ab")

    assert len(one) == len(other) == LONGEST_KEY
    assert one != other


def test_half_a_character_is_a_key_too():
    assert key(["x"], {"x": "\ud800" * 300})
