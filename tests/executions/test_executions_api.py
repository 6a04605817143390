"""Executions over HTTP."""

import json

import pytest
from django.db import connection

from attune_project.rest.errors import BadRequest
from executions import lifecycle
from executions.api import searching
from executions.models import Attempt, Execution, Policy, Progress, Status
from executions.requesting import Wanted, request_executions
from rules.models import Enforcement

URL = "/api/v1/executions"
ITEM = {
    "id", "created", "updated", "rule_ref", "trigger_ref", "action", "action_ref", "parent", "executor",
    "worker", "status", "status_reason", "worker_pool", "retry_count", "max_retries", "retry_reason",
    "original_execution", "due_at", "trace_id", "scheduled_at", "started_at", "finished_at", "settled_at",
    "enforcement", "workflow_def", "workflow_task", "priority", "policy", "policy_ref", "progress", "queue",
    "cancelled_by", "cancel_reason", "rerun_reason",
}  # fmt: skip
DETAIL = ITEM | {
    "config", "env_vars", "result", "permission_set_refs", "worker_selector", "worker_tolerations",
    "worker_affinity", "attempts",
}  # fmt: skip
TRACE = "0b0f7bdc-45ab-4c1c-9d39-6ac0a5f4c2f1"
MARKER = {"$attune_secret": True, "redacted": True}
SECRET = {"user": {"type": "string"}, "token": {"type": "string", "secret": True}}


@pytest.fixture
def make_execution(make_action):
    """Make executions; values of columns are written behind the lifecycle's back."""
    action = make_action("demo.sleep")

    def make(action=action, parameters=None, **values):
        [row_id] = request_executions([Wanted(action, parameters or {}, TRACE)])
        Execution.objects.filter(pk=row_id).update(**values)
        return Execution.objects.get(pk=row_id)

    return make


def ids(answer):
    return [row["id"] for row in answer.json()["data"]]


def test_a_list_shows_less(api, make_execution):
    make_execution()

    assert api.get(URL).json()["data"][0].keys() == ITEM


def test_a_list_costs_the_same_queries_whatever_its_length(
    api, make_execution, django_assert_max_num_queries
):
    for _ in range(10):
        execution = make_execution()
        Enforcement.objects.create(
            rule_ref="r", trigger_ref="t", rule_version=1, trace_id=TRACE, execution=execution
        )

    with django_assert_max_num_queries(3):
        rows = api.get(f"{URL}?page=1&per_page=50").json()["data"]

    assert len({row["enforcement"] for row in rows}) == 10


def test_a_list_reads_no_large_columns(api, make_execution, django_assert_max_num_queries):
    make_execution()

    with django_assert_max_num_queries(3) as captured:
        api.get(URL)

    statements = " ".join(query["sql"] for query in captured.captured_queries)
    assert '"execution"."result"' not in statements
    assert '"enforcement"."payload"' not in statements


def test_a_page_says_where_it_is(api, make_execution):
    for _ in range(3):
        make_execution()

    answer = api.get(f"{URL}?page=2&per_page=2")

    assert len(answer.json()["data"]) == 1
    assert answer.json()["pagination"] == {
        "page": 2, "page_size": 2, "total_items": 3, "total_pages": 2, "has_next": False,
        "has_previous": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=scheduled", True),
        ("status=running,scheduled", True),
        ("status=running", False),
        ("action_ref=demo.sleep", True),
        ("action_ref=demo.echo", False),
        ("pack_name=demo", True),
        ("pack_name=dem", False),
        ("rule_ref=demo.rule", True),
        ("trigger_ref=demo.alarm", True),
        ("trigger_ref=other", False),
        ("enforcement=1", False),
        ("parent=77", True),
        ("parent=78", False),
        ("executor=5", True),
        ("worker=6", True),
        ("worker=7", False),
        ("original_execution=8", True),
        ("top_level_only=true", False),
        ("top_level_only=false", True),
        ('result_contains={"data": {"a": 1}}', True),
        ('result_contains={"data": {"a": 1}, "b": [2, 3]}', True),
        ('result_contains={"data": {"a": 2}}', False),
        ("result_contains=null", False),
        ("result_contains=two words", True),
        ("result_contains=2", True),
        ('result_contains=said "no"', True),
        ('result_contains=", "', True),
        ("result_contains=line%0Aline", True),
        ("result_contains=grün 50%25", True),
        ("result_contains=TWO WORDS", False),
        ("result_contains=two%25words", False),
    ],
)
def test_a_list_is_filtered(api, make_execution, query, found):
    make_execution(
        parent=77, executor=5, worker=6, original_execution=8, rule_ref="demo.rule",
        trigger_ref="demo.alarm", result={
            "data": {"a": 1}, "b": [1, 2, 3], "error": 'two words, said "no", "',
            "stdout": "line\nline grün 50%",
        },
    )  # fmt: skip

    answer = api.get(f"{URL}?{query}")

    assert (answer.status_code, len(answer.json()["data"])) == (200, int(found))


def test_a_list_is_filtered_by_the_enforcement(api, make_execution):
    make_execution()
    execution = make_execution()
    enforcement = Enforcement.objects.create(
        rule_ref="r", trigger_ref="t", rule_version=1, trace_id=TRACE, execution=execution
    )

    assert ids(api.get(f"{URL}?enforcement={enforcement.pk}")) == [execution.pk]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("colour=red", "UNKNOWN_FILTER"),
        ("page=0", "BAD_REQUEST"),
        ("status=asleep", "BAD_REQUEST"),
        ("parent=x", "BAD_REQUEST"),
        ("top_level_only=perhaps", "BAD_REQUEST"),
        ("result_contains={", "BAD_REQUEST"),
        ('result_contains={"a": "\\u0000"}', "BAD_REQUEST"),
        ("ordering=result", "BAD_REQUEST"),
    ],
)
def test_a_parameter_that_is_no_good_is_named(api, db, query, code):
    answer = api.get(f"{URL}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert query.split("=")[0] in answer.json()["error"]


def test_only_the_newest_are_looked_through_for_a_result(api, make_execution, monkeypatch):
    monkeypatch.setattr(searching, "MOST", 2)
    found = [make_execution(result={"stdout": "needle"}, rule_ref=rule).pk for rule in ("a", "b", "b")]

    assert ids(api.get(f"{URL}?result_contains=needle")) == [found[2], found[1]]
    assert ids(api.get(f"{URL}?result_contains=needle&rule_ref=a")) == [found[0]]
    assert ids(api.get(f"{URL}/status/scheduled?result_contains=needle&rule_ref=a")) == [found[0]]


def test_a_search_that_takes_too_long_is_refused(db, monkeypatch):
    monkeypatch.setattr(searching, "SECONDS", 0.01)

    with (
        pytest.raises(BadRequest, match="narrow it by action_ref"),
        searching.bounded(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT pg_sleep(600)")

    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("1min",)


def test_executions_with_a_status(api, make_execution):
    execution = make_execution()

    assert ids(api.get(f"{URL}/status/scheduled")) == [execution.pk]
    assert ids(api.get(f"{URL}/status/scheduled?action_ref=demo.other")) == []
    assert api.get(f"{URL}/status/running").json()["pagination"]["total_items"] == 0
    assert api.get(f"{URL}/status/asleep").json()["code"] == "BAD_REQUEST"


def test_executions_are_counted(api, make_execution):
    make_execution()
    lifecycle.cancel(make_execution().pk)

    answer = api.get(f"{URL}/stats")

    assert answer.json()["data"] == {
        "total": 2, "completed": 0, "failed": 0, "running": 0, "pending": 1, "cancelled": 1, "timeout": 0,
        "abandoned": 0,
    }  # fmt: skip


def test_an_execution_is_shown_with_its_attempts(api, make_execution):
    execution = make_execution()
    for number in (2, 1):
        Attempt.objects.create(execution=execution, number=number, status=Status.FAILED, result={"a": 1})

    row = api.get(f"{URL}/{execution.pk}").json()["data"]

    assert row.keys() == DETAIL
    assert [attempt["number"] for attempt in row["attempts"]] == [1, 2]
    assert row["attempts"][0].keys() == {
        "id", "created", "updated", "execution", "number", "worker", "status", "result", "started_at",
        "finished_at",
    }  # fmt: skip


def test_an_execution_names_its_enforcement(api, make_execution):
    execution = make_execution()
    enforcement = Enforcement.objects.create(
        rule_ref="r", trigger_ref="t", rule_version=1, trace_id=TRACE, execution=execution
    )

    assert api.get(f"{URL}/{execution.pk}").json()["data"]["enforcement"] == enforcement.pk


def test_secret_parameters_are_shown_only_when_asked_for(api, make_action, make_execution):
    execution = make_execution(make_action(param_schema=SECRET), {"user": "u", "token": "s3cr3t-value"})

    plain = api.get(f"{URL}/{execution.pk}")
    asked = api.get(f"{URL}/{execution.pk}?include_secret_values=true")

    assert plain.json()["data"]["config"] == {"user": "u", "token": MARKER}
    assert asked.json()["data"]["config"] == {"user": "u", "token": "s3cr3t-value"}


def test_secret_parameters_need_a_right_of_their_own(client_of, identity_with, make_execution):
    client = client_of(identity_with({"resource": "executions", "actions": ["read"]}))

    answer = client.get(f"{URL}/{make_execution().pk}?include_secret_values=true")

    assert (answer.status_code, answer.json()["error"]) == (403, "Permission denied: executions:decrypt")


def test_when_the_action_is_gone_nobody_knows_what_was_secret(api, make_action, make_execution):
    action = make_action(param_schema=SECRET)
    execution = make_execution(action, {"user": "u", "token": "s3cr3t-value"})
    action.delete()

    assert api.get(f"{URL}/{execution.pk}").json()["data"]["config"] == {"user": MARKER, "token": MARKER}


@pytest.mark.parametrize("path", ["1", "99999999999999999999", "streams", "abc", "1/logs/stdout"])
def test_what_is_not_there_is_404(api, db, path):
    answer = api.get(f"{URL}/{path}")

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_an_unknown_route_is_404_without_credentials_too(stranger, db):
    assert stranger.get(f"{URL}/streams").status_code == 404
    assert stranger.get(f"{URL}/1").status_code == 401


def test_a_scheduled_execution_is_cancelled_at_once(api, make_execution):
    answer = api.post(f"{URL}/{make_execution().pk}/cancel")

    row = answer.json()["data"]
    assert (answer.status_code, row["status"]) == (200, "cancelled")
    assert row["result"] == {"error": "Cancelled before start"}


def test_who_cancelled_and_why_is_shown(api, administrator, make_execution):
    execution = make_execution()

    row = api.post(f"{URL}/{execution.pk}/cancel", {"reason": "not today"}, format="json").json()["data"]

    assert (row["cancelled_by"], row["cancel_reason"]) == (administrator.pk, "not today")
    listed = api.get(URL).json()["data"][0]
    assert (listed["cancelled_by"], listed["cancel_reason"]) == (administrator.pk, "not today")


@pytest.mark.parametrize("reason", [5, ["x"], "x" * 2001])
def test_a_reason_is_text_of_some_length(api, make_execution, reason):
    answer = api.post(f"{URL}/{make_execution().pk}/cancel", {"reason": reason}, format="json")

    assert (answer.status_code, list(answer.json()["details"])) == (422, ["reason"])


@pytest.mark.parametrize("text", ["[]", "null", "0"])
def test_a_body_is_an_object_or_nothing(api, make_execution, text):
    address = f"{URL}/{make_execution().pk}/cancel"

    refused = api.post(address, text, content_type="application/json")

    assert (refused.status_code, refused.json()["code"]) == (422, "VALIDATION_ERROR")
    assert api.post(address, "", content_type="application/json").status_code == 200


def test_progress_is_shown(api, make_execution):
    execution = make_execution()
    Progress.objects.create(execution=execution, percent=40, text="unpacking")

    for row in (api.get(f"{URL}/{execution.pk}").json()["data"], api.get(URL).json()["data"][0]):
        assert row["progress"].keys() == {"percent", "text", "updated"}
        assert (row["progress"]["percent"], row["progress"]["text"]) == (40.0, "unpacking")


def test_a_policy_is_named(api, make_execution):
    policy = Policy.objects.create(ref="demo.few", threshold=1)
    execution = make_execution(policy=policy.pk)

    row = api.get(f"{URL}/{execution.pk}").json()["data"]

    assert (row["policy"], row["policy_ref"]) == (policy.pk, "demo.few")
    policy.delete()
    assert api.get(f"{URL}/{execution.pk}").json()["data"]["policy_ref"] is None


def test_a_list_costs_no_query_per_row(api, make_execution, django_assert_max_num_queries):
    policy = Policy.objects.create(ref="demo.few", threshold=1)
    for _ in range(4):
        Progress.objects.create(execution=make_execution(policy=policy.pk), percent=1)

    with django_assert_max_num_queries(6):
        assert len(api.get(URL).json()["data"]) == 4


def test_what_waits_in_a_queue_says_at_which_place(api, make_action, django_assert_max_num_queries):
    Policy.objects.create(ref="demo.few", threshold=1)
    action = make_action("demo.sleep")
    made = request_executions([Wanted(action, {}, TRACE) for _ in range(4)])

    with django_assert_max_num_queries(7):
        rows = {row["id"]: row for row in api.get(URL).json()["data"]}

    queues = [rows[row_id]["queue"] for row_id in made]
    assert queues == [None, *({"place": place, "length": 3} for place in (1, 2, 3))]
    shown = api.get(f"{URL}/{made[3]}").json()["data"]
    assert (shown["status"], shown["queue"]) == ("requested", {"place": 3, "length": 3})
    assert "demo.few" in shown["status_reason"]

    left = api.post(f"{URL}/{made[1]}/cancel").json()["data"]

    assert (left["status"], left["queue"]) == ("cancelled", None)
    assert api.get(f"{URL}/{made[3]}").json()["data"]["queue"] == {"place": 2, "length": 2}
    assert Execution.objects.get(pk=made[1]).queued_at is None


def test_a_running_execution_is_asked_to_stop_as_often_as_one_likes(api, make_execution):
    execution = make_execution(status="running", lease_token=TRACE)

    answers = [api.post(f"{URL}/{execution.pk}/cancel") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["data"]["status"] for answer in answers] == ["canceling"] * 2


def test_what_has_ended_is_not_cancelled(api, make_execution):
    execution = make_execution()
    lifecycle.cancel(execution.pk)

    answer = api.post(f"{URL}/{execution.pk}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")
    assert "cancelled" in answer.json()["error"]


def test_cancelling_ones_own_leaves_others_alone(client_of, identity_with, make_execution):
    identity = identity_with(
        {"resource": "executions", "actions": ["read"], "constraints": {"owner": "any"}},
        {"resource": "executions", "actions": ["cancel"], "constraints": {"owner": "self"}},
    )
    mine, other = make_execution(executor=identity.pk), make_execution(executor=identity.pk + 1)
    client = client_of(identity)

    assert client.post(f"{URL}/{mine.pk}/cancel").status_code == 200
    assert client.post(f"{URL}/{other.pk}/cancel").json()["error"] == "Permission denied: executions:cancel"


def test_hidden_executions_are_left_out_everywhere(client_of, identity_with, make_execution):
    execution = make_execution()
    client = client_of(
        identity_with({"resource": "executions", "actions": ["*"], "constraints": {"refs": ["demo.other"]}})
    )

    assert ids(client.get(URL)) == []
    assert client.get(f"{URL}/stats").json()["data"]["total"] == 0
    assert client.get(f"{URL}/{execution.pk}").status_code == 404
    assert client.post(f"{URL}/{execution.pk}/cancel").status_code == 404


@pytest.mark.parametrize("path", ["", "/1", "/stats", "/status/running"])
def test_reading_needs_credentials_and_a_right(stranger, client_of, nobody, path):
    refused = client_of(nobody).get(URL + path)

    assert stranger.get(URL + path).status_code == 401
    assert (refused.status_code, refused.json()["error"]) == (403, "Permission denied: executions:read")


@pytest.mark.parametrize(
    ("path", "right"), [("/execute", "actions:execute"), ("/1/cancel", "executions:read")]
)
def test_changing_needs_credentials_and_a_right(stranger, client_of, nobody, path, right):
    refused = client_of(nobody).post(URL + path, json.dumps({}), content_type="application/json")

    assert stranger.post(URL + path).status_code == 401
    assert (refused.status_code, refused.json()["error"]) == (403, f"Permission denied: {right}")


def test_an_execution_is_made_by_its_own_route_only(api, db):
    assert api.post(URL, {}, format="json").status_code == 405


@pytest.mark.parametrize(
    "page", ["/executions", "/executions/{id}", "/executions/stats", "/actions", "/actions/demo.sleep"]
)
def test_a_browser_gets_a_page(api, make_execution, page):
    row_id = make_execution().pk

    answer = api.get("/api/v1" + page.format(id=row_id), headers={"Accept": "text/html"})

    assert answer.status_code == 200
    assert "demo.sleep" in answer.content.decode() or page.endswith("stats")
