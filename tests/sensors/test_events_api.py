"""Events over HTTP."""

import uuid

import pytest
from django.db import OperationalError, connection
from hypothesis import given
from hypothesis import strategies as st

from attune_project.messaging.topology import EVENT_CREATED
from attune_project.packs.models import Pack
from executions.models import Action
from rules.models import Rule
from sensors.api.events import EventBody, is_plain
from sensors.models import Event, Trigger

URL = "/api/v1/events"
ITEM = {
    "id", "created", "updated", "trigger", "trigger_ref", "source", "source_ref", "rule", "rule_ref",
    "decided_at", "ruleset_revision", "trace_id",
}  # fmt: skip


@pytest.fixture
def trigger(db):
    pack = Pack.objects.create(ref="demo", label="Demo", version="1.0.0")
    schema = {"level": {"type": "integer", "maximum": 9}}
    return Trigger.objects.create(
        ref="demo.alarm", pack=pack, pack_ref="demo", label="Alarm", out_schema=schema
    )


@pytest.fixture
def rule(trigger):
    action = Action.objects.create(
        ref="demo.a", pack=trigger.pack, pack_ref="demo", label="a", entrypoint="a"
    )
    return Rule.objects.create(
        ref="demo.rule", pack=trigger.pack, pack_ref="demo", label="r", trigger=trigger,
        trigger_ref=trigger.ref, action=action, action_ref=action.ref,
    )  # fmt: skip


def post(api, **body):
    return api.post(URL, body, format="json")


def test_an_event_is_recorded_and_rung(api, trigger, fake_publisher, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = post(api, trigger_ref="demo.alarm", payload={"level": 3}, config={"a": 1})

    row = answer.json()["data"]
    assert answer.status_code == 201
    assert row.keys() == ITEM | {"config", "payload"}
    assert (row["trigger"], row["payload"], row["config"]) == (trigger.pk, {"level": 3}, {"a": 1})
    assert fake_publisher.rung(EVENT_CREATED) == [row["id"]]


def test_the_trace_of_the_request_goes_with_the_event(api, trigger):
    trace = str(uuid.uuid4())

    answer = api.post(URL, {"trigger_ref": "demo.alarm"}, format="json", headers={"X-Request-Id": trace})

    assert answer.json()["data"]["trace_id"] == trace
    assert answer.headers["X-Request-Id"] == trace


def test_trigger_type_is_another_name(api, trigger):
    assert post(api, trigger_type="demo.alarm").json()["data"]["trigger_ref"] == "demo.alarm"


def test_a_known_key_answers_the_first_event(api, trigger):
    first = post(api, trigger_ref="demo.alarm", dedup_key="k")
    second = post(api, trigger_ref="demo.alarm", dedup_key="k")

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert Event.objects.count() == 1


def test_an_event_may_be_for_one_rule(api, rule):
    answer = post(api, trigger_ref="demo.alarm", trigger_instance_id=f"rule_{rule.pk}")

    assert (answer.json()["data"]["rule"], answer.json()["data"]["rule_ref"]) == (rule.pk, "demo.rule")


def test_an_event_for_a_rule_that_is_off_is_not_stored(api, rule):
    Rule.objects.update(enabled=False)

    answer = post(api, trigger_ref="demo.alarm", trigger_instance_id=f"rule_{rule.pk}")

    assert answer.json() == {"error": "Rule demo.rule is disabled", "code": "CONFLICT"}
    assert not Event.objects.exists()


def test_an_event_of_a_disabled_trigger_is_refused(api, trigger):
    Trigger.objects.update(enabled=False)

    answer = post(api, trigger_ref="demo.alarm")

    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")


def test_an_unknown_trigger_is_404(api, trigger):
    answer = post(api, trigger_ref="demo.gone")

    assert answer.status_code == 404
    assert answer.json() == {"error": "Trigger demo.gone does not exist", "code": "NOT_FOUND"}


def test_a_payload_outside_the_schema_names_its_path(api, trigger):
    answer = post(api, trigger_ref="demo.alarm", payload={"level": 12})

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert answer.json()["details"].keys() == {"payload.level"}
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "trigger_ref"),
        ({"trigger_ref": 7}, "trigger_ref"),
        ({"trigger_ref": None}, "trigger_ref"),
        ({"trigger_ref": "demo.alarm", "config": []}, "config"),
        ({"trigger_ref": "demo.alarm", "trigger_instance_id": "7"}, "trigger_instance_id"),
        ({"trigger_ref": "demo.alarm", "trigger_instance_id": f"rule_{2**63}"}, "trigger_instance_id"),
        ({"trigger_ref": "demo.alarm", "dedup_key": "k" * 513}, "dedup_key"),
    ],
)  # fmt: skip
def test_bad_values_name_their_field(api, trigger, body, field):
    answer = post(api, **body)

    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR")
    assert answer.json()["details"].keys() == {field}


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b'{"trigger_ref": ', 400, "BAD_REQUEST"),
        (b"[]", 422, "VALIDATION_ERROR"),
        (b'{"trigger_ref": "demo.alarm", "payload": {"a": "\\u0000"}}', 422, "VALIDATION_ERROR"),
        (b'{"trigger_ref": "demo.alarm", "payload": {"a": NaN}}', 422, "VALIDATION_ERROR"),
        (b'{"trigger_ref": "demo.alarm", "payload": %s}' % (b"[" * 20_000), 400, "BAD_REQUEST"),
        (b"[" * 20_000 + b"]" * 20_000, 400, "BAD_REQUEST"),
        (b'{"trigger_ref": "demo.alarm", "payload": "%s"}' % (b"x" * 11 * 2**20), 413, "PAYLOAD_TOO_LARGE"),
    ],
    ids=["broken", "a list", "NUL", "NaN", "deep and broken", "deep", "11 MiB"],
)  # fmt: skip
def test_what_is_no_storable_json_is_refused(api, trigger, raw, status, code):
    answer = api.post(URL, raw, content_type="application/json")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Event.objects.exists()


def test_another_media_type_is_415(api, trigger):
    answer = api.post(URL, b"a=b", content_type="text/plain")

    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_list_has_no_payloads_but_says_whether_there_is_one(api, trigger):
    post(api, trigger_ref="demo.alarm")
    post(api, trigger_ref="demo.alarm", payload={"level": 1})

    rows = api.get(URL).json()["data"]

    assert all(row.keys() == ITEM | {"has_payload"} for row in rows)
    assert [row["has_payload"] for row in rows] == [True, False]


def test_a_list_costs_the_same_queries_whatever_its_length(api, trigger, rule, django_assert_max_num_queries):
    post_many = [{"trigger_ref": "demo.alarm", "trigger_instance_id": f"rule_{rule.pk}"}] * 20
    api.post(f"{URL}/bulk", {"events": post_many}, format="json")

    with django_assert_max_num_queries(3):
        assert len(api.get(URL).json()["data"]) == 20


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("trigger_ref=demo.alarm", 1),
        ("trigger_ref=demo.other,demo.alarm", 1),
        ("trigger_ref=demo.other", 0),
        ("rule=5", 0),
        ("rule_ref=demo.rule", 0),
        ("source=5", 0),
        ("source_ref=webhook", 0),
        ("created_after=2020-01-01T00:00:00Z", 1),
        ("created_before=2020-01-01T00:00:00Z", 0),
    ],
)
def test_a_list_is_filtered(api, trigger, query, found):
    post(api, trigger_ref="demo.alarm")

    assert len(api.get(f"{URL}?{query}").json()["data"]) == found


def test_a_list_is_filtered_by_the_trigger(api, trigger):
    post(api, trigger_ref="demo.alarm")

    assert len(api.get(f"{URL}?trigger={trigger.pk}").json()["data"]) == 1


def test_a_list_is_filtered_by_a_trigger_that_is_gone(api, trigger):
    post(api, trigger_ref="demo.alarm")
    pk = trigger.pk
    trigger.delete()

    assert len(api.get(f"{URL}?trigger={pk}").json()["data"]) == 1
    assert len(api.get(f"{URL}?trigger={pk},404").json()["data"]) == 1


def test_one_of_the_same_name_is_another_trigger(api, trigger):
    post(api, trigger_ref="demo.alarm")
    Event.objects.update(trigger_id=trigger.pk + 1000)

    assert api.get(f"{URL}?trigger={trigger.pk}").json()["data"] == []


@pytest.mark.parametrize(
    ("query", "code"),
    [("colour=red", "UNKNOWN_FILTER"), ("page=0", "BAD_REQUEST"), ("rule=x", "BAD_REQUEST")],
)
def test_a_parameter_that_is_not_known_is_named(api, db, query, code):
    answer = api.get(f"{URL}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert query.split("=")[0] in answer.json()["error"]


def test_an_event_is_shown(api, trigger):
    recorded = post(api, trigger_ref="demo.alarm", payload={"level": 1}).json()

    assert api.get(f"{URL}/{recorded['data']['id']}").json() == recorded


@pytest.mark.parametrize("row_id", ["1", "99999999999999999999", "abc", "stream"])
def test_an_absent_event_is_404(api, db, row_id):
    answer = api.get(f"{URL}/{row_id}")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_many_events_stand_alone(api, trigger):
    events = [
        {"trigger_ref": "demo.alarm", "dedup_key": "k"},
        {"trigger_ref": "demo.gone"},
        "no event",
        {"trigger_ref": "demo.alarm", "dedup_key": "k"},
        {"trigger_ref": "demo.alarm", "payload": {"level": "high"}},
    ]

    answer = api.post(f"{URL}/bulk", {"events": events}, format="json")

    rows = answer.json()["data"]
    assert answer.status_code == 201
    assert [row["index"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row.get("code") for row in rows] == [
        None,
        "NOT_FOUND",
        *["VALIDATION_ERROR", None, "VALIDATION_ERROR"],
    ]
    assert (rows[3]["id"], rows[3]["duplicate"]) == (rows[0]["id"], True)
    assert Event.objects.count() == 1


def test_many_events_are_one_ring(api, trigger, fake_publisher, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        api.post(f"{URL}/bulk", {"events": [{"trigger_ref": "demo.alarm"}] * 10}, format="json")

    assert len(fake_publisher.letters) == 1
    assert len(fake_publisher.rung(EVENT_CREATED)) == 10


@pytest.mark.parametrize("events", [None, {}, [{"trigger_ref": "demo.alarm"}] * 1001])
def test_a_bulk_that_is_no_list_or_too_long_stores_nothing(api, trigger, events):
    answer = api.post(f"{URL}/bulk", {"events": events}, format="json")

    assert answer.status_code == 422
    assert answer.json()["details"].keys() == {"events"}
    assert not Event.objects.exists()


def test_without_credentials_everything_is_401(stranger, db):
    answers = [
        stranger.get(URL),
        stranger.get(f"{URL}/1"),
        stranger.post(URL, b"{", content_type="text/plain"),
    ]

    assert [answer.status_code for answer in answers] == [401] * 3
    assert answers[0].headers["WWW-Authenticate"].startswith('Bearer realm="attune"')


def test_without_rights_everything_is_403(client_of, nobody, trigger):
    client = client_of(nobody)

    assert client.get(URL).json() == {"error": "Permission denied: events:read", "code": "FORBIDDEN"}
    assert post(client, trigger_ref="demo.alarm").json()["error"] == "Permission denied: events:create"


def test_a_right_to_one_trigger_is_no_right_to_others(client_of, identity_with, trigger):
    grant = {"resource": "events", "actions": ["create"], "constraints": {"refs": ["demo.other"]}}
    client = client_of(identity_with(grant))

    one = post(client, trigger_ref="demo.alarm")
    many = client.post(f"{URL}/bulk", {"events": [{"trigger_ref": "demo.alarm"}]}, format="json")

    assert (one.status_code, one.json()["error"]) == (403, "Permission denied: events:create")
    assert many.json()["data"][0]["code"] == "FORBIDDEN"
    assert not Event.objects.exists()


def test_a_hidden_event_is_404_and_not_listed(api, client_of, identity_with, trigger):
    row_id = post(api, trigger_ref="demo.alarm").json()["data"]["id"]
    grant = {"resource": "events", "actions": ["read"], "constraints": {"refs": ["demo.other"]}}
    client = client_of(identity_with(grant))

    assert client.get(f"{URL}/{row_id}").status_code == 404
    assert client.get(URL).json()["data"] == []


def test_a_database_that_is_away_is_503_without_a_word_about_it(api, trigger):
    def away(execute, sql, params, many, context):
        if "INSERT INTO event" in sql:
            raise OperationalError("server closed the connection to 10.0.0.7")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(away):
        answer = post(api, trigger_ref="demo.alarm")

    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert "10.0.0.7" not in answer.content.decode()


@pytest.mark.parametrize("path", ["", "/{id}"])
def test_a_browser_gets_a_page(api, trigger, path):
    row_id = post(api, trigger_ref="demo.alarm", payload={"level": 1}).json()["data"]["id"]

    answer = api.get(URL + path.format(id=row_id), headers={"Accept": "text/html"})

    assert answer.status_code == 200
    assert "demo.alarm" in answer.content.decode()


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("demo.alarm")
BODIES = st.dictionaries(
    st.sampled_from(["trigger_ref", "payload", "config", "dedup_key", "trigger_type", "more"]),
    SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(max_size=2), SCALARS, max_size=2),
)


@given(BODIES | SCALARS)
def test_a_plain_body_is_what_its_serializer_makes_of_it(body):
    assert not is_plain(body) or EventBody().run_validation(body) == body


@pytest.mark.parametrize("more", [{}, {"payload": None}, {"payload": [1], "config": {}, "dedup_key": "a:1"}])
def test_ordinary_bodies_are_plain(more):
    assert is_plain({"trigger_ref": "demo.alarm", **more})


@pytest.mark.parametrize(
    "more", [{"config": []}, {"dedup_key": ""}, {"dedup_key": 1}, {"trigger_ref": "x" * 256}, {"more": 1}]
)
def test_whatever_may_be_refused_is_left_to_the_serializer(more):
    assert not is_plain({"trigger_ref": "demo.alarm", **more})


def test_a_thousand_events_take_no_more_statements_than_one(api, trigger, django_assert_num_queries):
    for number in (1, 1000):
        with django_assert_num_queries(3):  # who asks, the trigger, the events
            api.post(f"{URL}/bulk", {"events": [{"trigger_ref": "demo.alarm"}] * number}, format="json")
