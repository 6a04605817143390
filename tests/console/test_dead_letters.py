"""Dead letters by the API, the admin and `manage.py dead_letters`."""

import uuid
from io import StringIO

import pytest
from django.contrib.messages import get_messages
from django.core.management import CommandError, call_command
from django.urls import reverse

from attune_project.messaging import failures, steps
from attune_project.messaging.models import DeadLetter
from attune_project.messaging.topology import EVENT_CREATED
from sensors.models import Event

pytestmark = pytest.mark.django_db
URL = "/api/v1/dead-letters"


def aside(words="poison"):
    row = Event.objects.create(trigger_ref="t.t", trace_id=uuid.uuid4())
    step = steps.of_message(EVENT_CREATED)
    failures.note(step, row.pk, ValueError(words))
    failures.set_aside(step, row.pk)
    return DeadLetter.objects.get(row_id=row.pk)


def junk(**values):
    return DeadLetter.objects.create(
        **{"queue": "q", "exchange": "", "routing_key": "", "reason": "malformed", "body": "{", **values}
    )


def test_they_are_listed_and_filtered(api):
    row, other = aside(), junk()

    answer = api.get(URL).json()
    assert [one["id"] for one in answer["data"]] == [other.pk, row.pk]
    assert answer["pagination"]["total_items"] == 2
    assert "detail" not in answer["data"][0]

    for query, found in {
        "reason=malformed": [other.pk], "step=match": [row.pk], "queue=q": [other.pk],
        "status=open": [other.pk, row.pk], "status=requeued,discarded": [],
        f"row_id={row.row_id}": [row.pk], f"trace_id={row.trace_id}": [row.pk],
    }.items():  # fmt: skip
        assert [one["id"] for one in api.get(f"{URL}?{query}").json()["data"]] == found, query
    assert api.get(f"{URL}?status=none").status_code == 400
    assert api.get(f"{URL}?nonsense=1").json()["code"] == "UNKNOWN_FILTER"


def test_one_is_shown_with_its_reason(api):
    row = aside()

    found = api.get(f"{URL}/{row.pk}").json()["data"]

    assert "ValueError: poison" in found["detail"]
    assert (found["status"], found["step"], found["row_id"]) == ("open", "match", row.row_id)
    assert api.get(f"{URL}/{row.pk}/preview").json()["data"]["outcome"] == "rung"
    assert api.get(f"{URL}/999999").status_code == 404


def test_one_is_re_driven_and_again_is_the_same(api, administrator):
    row = aside()

    answer = api.post(f"{URL}/{row.pk}/requeue", {"reason": "mended"}, format="json")
    again = api.post(f"{URL}/{row.pk}/requeue")

    assert (answer.status_code, again.status_code) == (200, 200)
    data = again.json()["data"]
    assert (data["status"], data["closed_by"], data["closed_reason"]) == (
        "requeued", administrator.pk, "mended",
    )  # fmt: skip
    assert api.post(f"{URL}/{row.pk}/discard").status_code == 409


def test_one_is_discarded(api):
    row = junk()

    assert api.post(f"{URL}/{row.pk}/requeue").status_code == 422
    assert api.post(f"{URL}/{row.pk}/discard").json()["data"]["status"] == "discarded"
    assert api.post(f"{URL}/{row.pk}/requeue").status_code == 409


def test_many_are_previewed_then_re_driven_then_discarded(api):
    rows = [aside(), aside(), junk()]

    plans = api.post(f"{URL}/preview", {"all": True}, format="json").json()["data"]
    assert (plans["total"], plans["counts"]) == (3, {"rung": 2, "impossible": 1})

    body = {"filter": {"step": "match"}, "reason": "mended"}
    done = api.post(f"{URL}/requeue", body, format="json").json()["data"]
    assert done["counts"] == {"rung": 2}

    gone = api.post(f"{URL}/discard", {"filter": {"reason": ["malformed"]}}, format="json").json()["data"]
    assert gone["total"] == 1
    assert sorted(one.status for one in DeadLetter.objects.filter(pk__in=[r.pk for r in rows])) == [
        "discarded", "requeued", "requeued",
    ]  # fmt: skip


@pytest.mark.parametrize("body", [{}, {"filter": {}}, {"filter": {"nonsense": 1}}, {"filter": {"id": "x"}}])
def test_a_filter_must_be_said_and_known(api, body):
    aside()

    assert api.post(f"{URL}/requeue", body, format="json").status_code == 422
    assert DeadLetter.objects.get().is_open


def test_who_may_only_read_changes_nothing(identity_with, client_of):
    row = aside()
    reader = client_of(identity_with({"resource": "workers", "actions": ["read"]}))

    assert reader.get(f"{URL}/{row.pk}").status_code == 200
    assert reader.post(f"{URL}/{row.pk}/requeue").status_code == 403
    assert reader.post(f"{URL}/discard", {"all": True}, format="json").status_code == 403
    assert client_of(identity_with(login="other")).get(URL).status_code == 403


def run(*words, **options):
    out = StringIO()
    call_command("dead_letters", *words, stdout=out, **options)
    return out.getvalue()


def test_the_command_lists_shows_previews_re_drives_and_discards():
    row, other = aside(), junk()

    assert f"{row.pk}\topen\tattune.events.queue\tstep_failed\tmatch {row.row_id}" in run("list")
    assert run("list", "--reason", "malformed").startswith(f"{other.pk}\t")
    assert "ValueError: poison" in run("show", str(row.pk))
    assert "goes back to the step match" in run("preview", "--all")
    assert f"{row.pk}\trung" in run("redrive", str(row.pk), "--why", "mended")
    assert run("discard", "--queue", "q") == "1 discarded\n"

    row.refresh_from_db()
    assert (row.status, row.closed_reason) == ("requeued", "mended")
    assert row.closed_by_login.endswith("shell)")


def test_the_command_wants_to_know_which():
    with pytest.raises(CommandError, match="name ids, a filter, or --all"):
        run("redrive")
    with pytest.raises(CommandError, match="status"):
        run("list", "--status", "nonsense")


@pytest.fixture
def desk(client, administrator):
    client.force_login(administrator)
    return client


def page(name, *args):
    return reverse(f"admin:messaging_deadletter_{name}", args=args)


def test_the_admin_shows_the_reason_and_what_would_become(desk):
    row = aside("<b>poison</b>")

    listed = desk.get(page("changelist"), {"state": "open", "reason": "step_failed"})
    shown = desk.get(page("change", row.pk)).content.decode()

    assert listed.status_code == 200
    assert str(row.pk) in listed.content.decode()
    assert "ValueError: &lt;b&gt;poison" in shown
    assert "goes back to the step match" in shown


@pytest.mark.parametrize(("verb", "status"), [("redrive", "requeued"), ("discard", "discarded")])
def test_the_admin_asks_and_then_does_it(desk, administrator, verb, status):
    row = aside()
    address = reverse(f"admin:messaging_deadletter_{verb}_one", args=[row.pk])

    assert desk.get(address).status_code == 200
    assert DeadLetter.objects.get().is_open
    desk.post(address, {"why": "mended"})

    row.refresh_from_db()
    assert (row.status, row.closed_by_id, row.closed_reason) == (status, administrator.pk, "mended")


def test_the_admin_re_drives_a_selection_after_a_preview(desk):
    rows = [aside(), aside()]
    selection = {"action": "redrive", "_selected_action": [row.pk for row in rows]}

    asked = desk.post(page("changelist"), selection)
    assert "2 dead letters: 2 rung." in asked.content.decode()
    assert all(row.is_open for row in DeadLetter.objects.all())

    form = asked.context["form"].initial
    done = desk.post(page("changelist"), {**form, "confirmed": "1", "why": ""})

    assert not any(row.is_open for row in DeadLetter.objects.all())
    assert [str(one) for one in get_messages(done.wsgi_request)] == ["2 dead letters: 2 rung."]
