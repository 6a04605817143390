"""`/executions/stream`: the present state of whatever changes, resumed without a gap."""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection

from attune_project.identity.models import Identity
from attune_project.identity.staying import look_again
from attune_project.identity.tokens import issue_access
from attune_project.rest import sse
from executions import lifecycle, waking
from executions.api.stream import Wanted as Filters
from executions.api.stream import follow
from executions.artifacts.told import Told
from executions.models import Execution
from executions.requesting import Wanted, request_executions
from executions.streams import changes, hub
from executions.streams.changes import microseconds
from tests.executions.lives import claim_one, end

URL = "/api/v1/executions/stream"
transactional = pytest.mark.django_db(transaction=True)


@pytest.fixture
def make_one(make_action):
    def make(ref="demo.one", **values):
        from executions.models import Action

        action = Action.objects.filter(ref=ref).first() or make_action(ref)
        return request_executions([Wanted(action, {}, uuid.uuid4(), **values)])[0]

    return make


class Event:
    def __init__(self, block: str) -> None:
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        self.id = fields["id"]
        self.data = json.loads(fields["data"])
        self.execution = self.data["entity_id"]
        self.kind = self.data["notification_type"]
        self.status = self.data["payload"]["status"]


def events_in(raw: bytes) -> list[Event]:
    return [Event(block) for block in raw.decode().split("\n\n") if block.startswith("id: ")]


def watch(identity, *steps, until, filters=None, cursor=None):
    """Follow the stream; do each step after the stream is open; return the events when `until` likes them."""

    async def go():
        seen: list[Event] = []
        generator = follow(lambda: identity, filters or Filters(), cursor)
        await anext(generator)
        tasks = asyncio.create_task(do(steps))
        async with asyncio.timeout(60):
            async for raw in generator:
                seen += events_in(raw)
                if until(seen):
                    break
        await generator.aclose()
        await tasks
        return seen

    async def do(steps):
        for step in steps:
            await asyncio.sleep(0.05)
            await sse.read(step)

    return asyncio.run(go())


def has(status):
    return lambda seen: any(event.status == status for event in seen)


@transactional
def test_a_new_execution_is_told_and_then_what_becomes_of_it(administrator, make_one, worker):
    seen = watch(
        administrator,
        make_one,
        lambda: end(claim_one(worker)),
        until=has("completed"),
    )

    row = Execution.objects.get()
    assert seen[0].kind == "execution_created"
    assert (seen[-1].kind, seen[-1].execution, seen[-1].status) == (
        "execution_status_changed", row.pk, "completed",
    )  # fmt: skip
    assert seen[-1].id == f"{microseconds(row.updated)}-{row.pk}"
    assert seen[-1].data["entity_type"] == "execution"
    payload = seen[-1].data["payload"]
    assert payload["action_ref"] == "demo.one"
    assert {"parent", "enforcement", "rule_ref", "workflow_task"} <= set(payload)
    assert payload["updated"] == row.updated.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@transactional
def test_progress_is_told_as_it_comes(administrator, make_one, worker):
    make_one()
    told = Told((claimed := claim_one(worker)).id, claimed.token)

    def say(percent):
        told.feed("stdout", f"::attune progress percent={percent} text=at {percent}\n")
        told.close()

    def has_come_to(percent):
        return lambda seen: any(
            one.data["payload"].get("progress", {}).get("percent") == percent for one in seen
        )

    seen = watch(administrator, lambda: say(10), lambda: say(60), until=has_come_to(60))

    progress = seen[-1].data["payload"]["progress"]
    assert (seen[-1].status, progress["text"]) == ("running", "at 60")
    assert progress.keys() == {"percent", "text", "updated"}


@transactional
def test_changes_are_read_although_nobody_gives_a_hint(administrator, make_one, monkeypatch):
    monkeypatch.setattr(hub, "Listener", Deaf)

    assert watch(administrator, make_one, until=bool)[0].kind == "execution_created"


class Deaf:
    listening = False

    def __init__(self, heard):
        pass

    async def run(self):
        await asyncio.Event().wait()


@transactional
def test_a_database_that_is_away_for_a_while_ends_no_stream(administrator, make_one, monkeypatch):
    monkeypatch.setattr(hub, "Listener", Deaf)
    touched, failures = changes.touched, [1, 2, 3]

    def sometimes_away(*arguments):
        if failures:
            raise OperationalError(f"away {failures.pop()}")
        return touched(*arguments)

    monkeypatch.setattr(changes, "touched", sometimes_away)

    assert watch(administrator, make_one, until=bool)
    assert failures == []


@transactional
def test_a_hint_is_enough(administrator, make_one, monkeypatch):
    async def blind(self):
        self.due = float("inf")
        return []

    monkeypatch.setattr(hub.Poll, "look", blind)

    def make_and_tell():
        waking.wake_streams([make_one()])

    assert watch(administrator, make_and_tell, make_and_tell, until=bool)


@transactional
def test_an_execution_that_waits_long_and_then_changes_is_told(administrator, make_one, monkeypatch):
    monkeypatch.setattr(hub, "Listener", Deaf)
    row_id = make_one()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE execution SET created = now() - interval '1 h', updated = now() - interval '1 h'"
        )

    def touch():
        with connection.cursor() as cursor:
            cursor.execute("UPDATE execution SET updated = clock_timestamp()")

    (event,) = watch(administrator, touch, until=bool)

    assert (event.execution, event.kind, event.status) == (row_id, "execution_status_changed", "scheduled")


@transactional
def test_resuming_tells_everything_that_changed_since(administrator, make_one, worker, monkeypatch):
    monkeypatch.setattr(changes, "BATCH", 3)
    ids = [make_one() for _ in range(8)]
    for _ in range(4):
        end(claim_one(worker))

    seen = watch(
        administrator,
        cursor=datetime.now(UTC) - timedelta(minutes=1),
        until=lambda seen: {event.execution for event in seen} == set(ids),
    )

    latest = {event.execution: event.status for event in seen}
    assert sorted(latest.values()) == ["completed"] * 4 + ["scheduled"] * 4


@transactional
def test_resuming_leaves_out_what_changed_long_before(administrator, make_one, worker):
    old, new = make_one(), make_one()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE execution SET updated = now() - interval '1 h' WHERE id = %s", [old])

    seen = watch(administrator, cursor=datetime.now(UTC), until=bool)

    assert {event.execution for event in seen} == {new}


@transactional
def test_a_named_execution_is_told_at_once(administrator, make_one):
    row_id = make_one()
    make_one()

    seen = watch(administrator, filters=Filters(ids=frozenset({row_id})), until=bool)

    assert [(event.execution, event.status) for event in seen] == [(row_id, "scheduled")]


@transactional
@pytest.mark.parametrize(
    "filters",
    [Filters(action_refs=frozenset({"demo.two"})), Filters(statuses=frozenset({"completed"}))],
)
def test_only_what_is_wanted_is_told(administrator, make_one, worker, filters):
    make_one("demo.one")

    def finish_the_other():
        lifecycle.cancel(Execution.objects.get().pk)
        make_one("demo.two")
        end(claim_one(worker))

    seen = watch(administrator, finish_the_other, filters=filters, until=has("completed"))

    assert {event.data["payload"]["action_ref"] for event in seen} == {"demo.two"}


@transactional
def test_what_the_caller_may_not_read_is_left_out(identity_with, make_one):
    reader = identity_with({"resource": "executions", "actions": ["read"], "constraints": {"owner": "self"}})
    other = Identity.objects.create_user("other", "the password")

    def make_both():
        make_one(executor_id=other.pk)
        make_one(executor_id=reader.pk)

    seen = watch(reader, make_both, until=bool)

    mine = Execution.objects.get(executor_id=reader.pk)
    assert {event.execution for event in seen} == {mine.pk}


@transactional
def test_who_may_read_no_more_is_let_go(administrator, monkeypatch):
    monkeypatch.setattr(sse, "BEAT", 0.2)
    looks = [administrator, administrator, None]

    async def go():
        async with asyncio.timeout(60):
            return [raw async for raw in follow(lambda: looks.pop(0), Filters(), None)]

    assert asyncio.run(go()) == [sse.RECONNECT, sse.BEAT_FRAME]


@transactional
def test_who_falls_behind_is_let_go_and_misses_nothing(administrator, make_one, monkeypatch):
    monkeypatch.setattr(hub, "MOST_PENDING", 2)

    async def go():
        generator = follow(lambda: administrator, Filters(), None)
        await anext(generator)
        subscription = next(iter(hub.hub()._subscriptions))
        for _ in range(3):
            await sse.read(make_one)
        async with asyncio.timeout(60):
            while not subscription.overflowed:
                await asyncio.sleep(0.02)
            return [raw async for raw in generator]

    assert asyncio.run(go()) == []


@transactional
def test_many_streams_share_one_reader(administrator, make_one, monkeypatch):
    reads = []
    present = changes.present
    monkeypatch.setattr(changes, "present", lambda ids: reads.append(ids) or present(ids))

    async def one():
        generator = follow(lambda: administrator, Filters(), None)
        async with asyncio.timeout(120):
            async for raw in generator:
                if found := events_in(raw):
                    break
        await generator.aclose()
        return found[0].execution

    async def go():
        streams = [asyncio.create_task(one()) for _ in range(200)]
        while len(hub.hub()._subscriptions) < 200:
            await asyncio.sleep(0.02)
        row_id = await sse.read(make_one)
        return row_id, await asyncio.gather(*streams)

    row_id, told = asyncio.run(go())

    assert told == [row_id] * 200
    assert len(reads) == 1


# --- what is refused, and who is still there


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("parent=1", "UNKNOWN_FILTER"),
        ("status=done", "BAD_REQUEST"),
        ("execution_id=x", "BAD_REQUEST"),
        ("execution_id=" + "9" * 20, "BAD_REQUEST"),
        ("last_event_id=yesterday", "BAD_REQUEST"),
    ],
)
def test_a_bad_question_is_400(api, query, code):
    answer = api.get(f"{URL}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_credentials_and_the_right_are_needed(stranger, client_of, nobody):
    assert stranger.get(URL).status_code == 401
    assert client_of(nobody).get(URL).status_code == 403


def test_it_is_documented(api):
    route = api.get("/api-spec/openapi.json").json()["paths"]["/api/v1/executions/stream"]["get"]

    assert list(route["responses"]["200"]["content"]) == ["text/event-stream"]


def test_a_cursor_beyond_any_calendar_is_the_calendars_end():
    assert changes.moment_of(2**63 - 1).year == 9999
    assert changes.moment_of(microseconds(datetime(2026, 1, 2, tzinfo=UTC))) == datetime(
        2026, 1, 2, tzinfo=UTC
    )


class FakeRequest:
    """What `look_again` reads of a request."""

    def __init__(self, auth=None, session=None):
        self.auth = auth
        self._request = self
        self.session = session


def test_the_bearer_of_a_token_is_there_until_frozen(administrator):
    look = look_again(FakeRequest(auth=issue_access(administrator)))
    assert look() == administrator

    Identity.objects.update(frozen=True)

    assert look() is None


def test_who_logged_in_is_there_until_the_session_ends(client, administrator):
    client.force_login(administrator)
    look = look_again(FakeRequest(session=client.session))
    assert look() == administrator

    client.logout()

    assert look() is None
