"""`/artifacts/{id}/stream`: new versions and new data, resumed without a gap."""

import asyncio
import json

import pytest

from attune_project.rest import sse
from executions.api import artifact_stream
from executions.api.artifact_stream import follow, place_of
from executions.models import Artifact

transactional = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(artifact_stream, "POLL", 0.02)


@pytest.fixture
def row(db):
    return Artifact.objects.create(ref="a", type="other")


@pytest.fixture
def steps(db):
    return Artifact.objects.create(ref="steps", type="progress", data=["one"])


class Frame:
    """An event as a client reads it."""

    def __init__(self, raw):
        lines = dict(line.split(": ", 1) for line in raw.decode().splitlines() if ": " in line)
        self.id, self.name = lines.get("id"), lines.get("event")
        self.data = json.loads(lines["data"]) if "data" in lines else None


def collect(identity, row, *, during=(), last=None, count=1):
    """Follow a stream; after each event do the next step; return so many events."""

    async def run():
        frames, todo = [], list(during)
        generator = follow(lambda: identity, row.pk, last and place_of(last))
        async with asyncio.timeout(60):
            async for raw in generator:
                for part in raw.split(b"\n\n"):
                    if b"data: " in part:
                        frames.append(Frame(part))
                        if todo:
                            await sse.read(todo.pop(0))
                if len(frames) >= count:
                    break
        await generator.aclose()
        return frames

    return asyncio.run(run())


def add(api, row, content):
    return lambda: api.post(f"/api/v1/artifacts/{row.pk}/versions", {"content": content}, format="json")


def put(api, row, data):
    return lambda: api.put(f"/api/v1/artifacts/{row.pk}/data", {"data": data}, format="json")


def told(frames):
    return [(frame.name, frame.data["version"]) for frame in frames]


@transactional
def test_it_begins_with_the_newest_version_and_tells_the_next(administrator, api, row):
    add(api, row, 1)()
    add(api, row, 2)()

    frames = collect(administrator, row, during=[add(api, row, 3)], count=2)

    assert told(frames) == [("version", 2), ("version", 3)]
    assert frames[0].data["size_bytes"] == 1


@transactional
def test_it_resumes_after_what_was_told(administrator, api, row):
    for number in (1, 2, 3):
        add(api, row, number)()
    (first,) = collect(administrator, row, last="0-0-0", count=1)[:1]

    frames = collect(administrator, row, last=first.id, count=2)

    assert told(frames) == [("version", 2), ("version", 3)]


@transactional
def test_versions_beyond_one_look_come_in_the_next(administrator, api, row, monkeypatch):
    monkeypatch.setattr(artifact_stream, "BATCH", 2)
    for number in (1, 2, 3, 4, 5):
        add(api, row, number)()

    assert told(collect(administrator, row, last="0-0-0", count=5)) == [("version", n) for n in range(1, 6)]


@transactional
def test_deleted_versions_are_passed_over(administrator, api, row):
    for number in (1, 2):
        add(api, row, number)()
    api.delete(f"/api/v1/artifacts/{row.pk}/versions/2")

    frames = collect(administrator, row, last="0-0-0", during=[add(api, row, 3)], count=2)

    assert told(frames) == [("version", 1), ("version", 3)]


@transactional
def test_a_list_that_grows_is_told_by_what_is_new(administrator, api, steps):
    url = f"/api/v1/artifacts/{steps.pk}/progress"

    frames = collect(
        administrator, steps, during=[lambda: api.post(url, {"entry": "two"}, format="json")], count=2
    )

    assert [(frame.name, frame.data) for frame in frames] == [("data", ["one"]), ("entries", ["two"])]
    (again,) = collect(administrator, steps, last=frames[0].id)
    assert again.data == ["two"]


@transactional
def test_data_that_was_replaced_is_told_whole(administrator, api, steps):
    frames = collect(administrator, steps, during=[put(api, steps, ["new"])], count=2)

    assert [(frame.name, frame.data) for frame in frames] == [("data", ["one"]), ("data", ["new"])]


@transactional
def test_it_ends_with_the_artifact(administrator, api, steps):
    frames = collect(
        administrator, steps, during=[lambda: api.delete(f"/api/v1/artifacts/{steps.pk}")], count=2
    )

    assert frames[-1].name == "end"


@transactional
def test_it_ends_when_the_caller_may_read_it_no_more(row, nobody, monkeypatch):
    monkeypatch.setattr(sse, "BEAT", 0)

    async def run():
        async with asyncio.timeout(60):
            return [raw async for raw in follow(lambda: nobody, row.pk, None)]

    assert asyncio.run(run()) == [sse.RECONNECT]


@pytest.mark.parametrize("last", ["x", "1", "1-2", "1-2-3-4", "-1-2-3", "1-2-3x"])
def test_a_place_that_is_none_is_refused(api, row, last):
    assert api.get(f"/api/v1/artifacts/{row.pk}/stream?last_event_id={last}").status_code == 400


def test_what_is_not_there_is_not_found(api, row):
    assert api.get("/api/v1/artifacts/987654/stream").status_code == 404
    assert api.get(f"/api/v1/artifacts/{row.pk}/stream?colour=red").json()["code"] == "UNKNOWN_FILTER"


def test_it_is_a_stream_of_events(api, row):
    answer = api.get(f"/api/v1/artifacts/{row.pk}/stream")

    assert answer.headers["Content-Type"].startswith("text/event-stream")
