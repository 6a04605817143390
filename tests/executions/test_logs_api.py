"""`/executions/{id}/logs/{stream}`: text from any byte on, while the action runs and after."""

import asyncio
import json
import uuid

import pytest

from attune_project.rest import sse
from executions import lifecycle, log_chunks
from executions.api.logs import tail
from executions.lifecycle import Ended
from executions.log_chunks import Piece, Rest
from executions.models import Attempt, Execution
from executions.requesting import Wanted, request_executions
from executions.streams import log_pages
from executions.streams.hub import hub
from tests.executions.lives import claim_one, due_now

READER = {"resource": "executions", "actions": ["read"], "constraints": {"owner": "any"}}


@pytest.fixture
def request_one(make_action):
    def make(**values):
        action = make_action(f"demo.a{uuid.uuid4().hex[:6]}", **values)
        return request_executions([Wanted(action, {}, uuid.uuid4())])[0]

    return make


@pytest.fixture
def claimed(request_one, worker):
    request_one(max_retries=1)
    return claim_one(worker)


def write(claimed, text, start=0, stream="stdout"):
    piece = Piece(claimed.id, claimed.token, claimed.attempt, stream, start, text.encode())
    assert log_chunks.store([piece]) == {claimed.id}


def end(claimed, status="completed", **result):
    assert lifecycle.finish([Ended(claimed.id, claimed.token, status, {"exit_code": 0, **result})])


def get(api, execution_id, query="", stream="stdout"):
    answer = api.get(f"/api/v1/executions/{execution_id}/logs/{stream}{query}")
    return answer, answer.content.decode()


def told(answer):
    return answer.headers["X-Log-Offset"], answer.headers["X-Log-Complete"]


def test_a_running_actions_output_is_text(api, claimed):
    write(claimed, "one\n")
    write(claimed, "two\n", start=4)

    answer, text = get(api, claimed.id)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (text, *told(answer)) == ("one\ntwo\n", "8", "false")


def test_the_rest_is_read_from_the_offset_that_was_told(api, claimed):
    write(claimed, "one\ntwo\n")

    answer, text = get(api, claimed.id, "?offset=4")

    assert (text, *told(answer)) == ("two\n", "8", "false")


def test_an_offset_within_a_character_moves_on_to_the_next(api, claimed):
    write(claimed, "€uro")

    answer, text = get(api, claimed.id, "?offset=1")

    assert (text, *told(answer)) == ("uro", "6", "false")


def test_beyond_the_end_there_is_nothing_yet(api, claimed):
    write(claimed, "one\n")

    answer, text = get(api, claimed.id, "?offset=4")
    assert (text, *told(answer)) == ("", "4", "false")

    end(claimed)
    answer, text = get(api, claimed.id, "?offset=4")
    assert (text, *told(answer)) == ("", "4", "true")


@pytest.mark.parametrize("offset", [2**31 - 1, 2**31, 2**63 - 1])
def test_beyond_what_a_text_can_hold_there_is_nothing_either(api, claimed, offset):
    end(claimed, stdout="hello")

    answer, text = get(api, claimed.id, f"?offset={offset}")
    stream = api.get(f"/api/v1/executions/{claimed.id}/logs/stdout/stream?last_event_id={offset}")

    assert (answer.status_code, text, *told(answer)) == (200, "", str(offset), "true")
    assert stream.status_code == 200


def test_many_pages_are_one_text(api, claimed, monkeypatch):
    monkeypatch.setattr(log_pages, "SIZE", 7)
    for number in range(10):
        write(claimed, "abé", start=4 * number)
    end(claimed)

    answer, text = get(api, claimed.id)

    assert (text, *told(answer)) == ("abé" * 10, "40", "true")


def test_the_text_of_a_result_is_served_when_there_are_no_pieces(api, claimed):
    end(claimed, stdout="hello €", stderr="")

    answer, text = get(api, claimed.id, "?offset=2")

    assert (text, *told(answer)) == ("llo €", "9", "true")
    assert get(api, claimed.id, stream="stderr")[1] == ""


def test_each_attempt_has_its_own_log(api, claimed, worker):
    end(claimed, "failed", stdout="first")
    due_now()
    second = claim_one(worker)
    write(second, "second")

    assert get(api, claimed.id)[1] == "second"
    assert get(api, claimed.id, "?attempt=1")[1] == "first"
    assert get(api, claimed.id, "?attempt=2")[1] == "second"
    assert told(get(api, claimed.id, "?attempt=1")[0]) == ("5", "true")


def test_the_result_of_the_last_attempt_is_not_an_earlier_ones(api, claimed, worker):
    end(claimed, "failed", exit_code=1)
    Attempt.objects.update(result=None)
    due_now()
    end(claim_one(worker), stdout="last")

    assert get(api, claimed.id, "?attempt=1")[1] == ""


def test_what_has_not_started_has_no_output_yet(api, request_one):
    answer, text = get(api, request_one())

    assert (answer.status_code, text, *told(answer)) == (200, "", "0", "false")


def test_what_was_cancelled_before_its_start_never_has(api, request_one):
    row_id = request_one()
    lifecycle.cancel(row_id)

    assert told(get(api, row_id)[0]) == ("0", "true")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("stdlog", 422),
        ("stdout?offset=x", 400),
        ("stdout?offset=-1", 400),
        ("stdout?tail=5", 400),
        ("stdout?attempt=0", 400),
        ("stdout?attempt=2", 404),
        ("stdout/stream?attempt=2", 404),
        ("stdout/stream?last_event_id=x", 400),
        ("stdin/stream", 422),
    ],
)
def test_what_can_not_be_answered_is_refused(api, claimed, path, status):
    answer = api.get(f"/api/v1/executions/{claimed.id}/logs/{path}")

    assert answer.status_code == status
    assert "error" in answer.json()


@pytest.mark.parametrize("path", ["stdout", "stdout/stream", "nonsense"])
def test_hidden_and_absent_are_404(api, client_of, identity_with, claimed, path):
    mine = {"resource": "executions", "actions": ["read"], "constraints": {"owner": "self"}}
    client = client_of(identity_with(mine))

    assert client.get(f"/api/v1/executions/{claimed.id}/logs/{path}").status_code == 404
    assert api.get(f"/api/v1/executions/987654/logs/{path}").status_code == 404


@pytest.mark.parametrize("path", ["stdout", "stdout/stream", "nonsense"])
def test_without_credentials_it_is_401(stranger, claimed, path):
    assert stranger.get(f"/api/v1/executions/{claimed.id}/logs/{path}").status_code == 401


def test_who_may_read_the_execution_may_read_its_log(client_of, identity_with, claimed):
    write(claimed, "x")

    assert get(client_of(identity_with(READER)), claimed.id)[1] == "x"


def test_both_routes_are_documented(api):
    paths = api.get("/api-spec/openapi.json").json()["paths"]
    log = paths["/api/v1/executions/{id}/logs/{stream}"]["get"]

    assert list(log["responses"]["200"]["content"]) == ["text/plain"]
    assert "text/event-stream" in json.dumps(paths["/api/v1/executions/{id}/logs/{stream}/stream"])


# --- the stream: the generator behind it, with the hub and real threads

transactional = pytest.mark.django_db(transaction=True)


class Frame:
    def __init__(self, raw: bytes) -> None:
        lines = raw.decode().splitlines()
        fields = dict(line.split(": ", 1) for line in lines if line and not line.startswith(":"))
        self.id, self.name, self.retry = fields.get("id"), fields.get("event"), fields.get("retry")
        self.data = json.loads(fields["data"]) if "data" in fields else None


def collect(administrator, execution_id, *, attempt=None, offset=0, until="end", during=()):
    """Follow a log until an event `until`; do what `during` says after the first piece."""

    async def follow():
        frames = []
        todo = list(during)
        generator = tail(lambda: administrator, execution_id, "stdout", attempt, offset)
        async with asyncio.timeout(60):
            async for raw in generator:
                frames.append(Frame(raw))
                if frames[-1].data is not None and todo:
                    await sse.read(todo.pop(0))
                if frames[-1].name == until:
                    break
        await generator.aclose()
        return frames

    return asyncio.run(follow())


@transactional
def test_a_stream_tells_what_is_there_and_what_comes_until_the_end(administrator, claimed):
    write(claimed, "one\n")

    frames = collect(
        administrator,
        claimed.id,
        during=[lambda: write(claimed, "two €\n", start=4), lambda: end(claimed)],
    )

    assert [frame.data for frame in frames[1:]] == ["one\n", "two €\n", {"attempt": 1, "offset": 12}]
    assert [frame.id for frame in frames[1:]] == ["4", "12", "12"]
    assert frames[0].retry == "2000"


@transactional
def test_a_stream_resumes_within_the_text(administrator, claimed):
    write(claimed, "one\ntwo\n")
    end(claimed)

    frames = collect(administrator, claimed.id, offset=4)

    assert [frame.data for frame in frames[1:]] == ["two\n", {"attempt": 1, "offset": 8}]


@transactional
def test_a_stream_waits_for_the_start(administrator, request_one, worker):
    row_id = request_one()

    async def begin():
        await asyncio.sleep(0.2)
        claimed = await sse.read(claim_one, worker)
        await sse.read(write, claimed, "here")

    async def follow():
        starting = asyncio.create_task(begin())
        frames = []
        async with asyncio.timeout(60):
            async for raw in (generator := tail(lambda: administrator, row_id, "stdout", None, 0)):
                frames.append(Frame(raw))
                if frames[-1].data is not None:
                    break
        await generator.aclose()
        await starting
        return frames

    assert asyncio.run(follow())[-1].data == "here"


@transactional
def test_a_stream_stays_with_its_attempt(administrator, claimed):
    write(claimed, "first")

    frames = collect(administrator, claimed.id, during=[lambda: end(claimed, "failed")])

    assert frames[-1].data == {"attempt": 1, "offset": 5}
    assert Execution.objects.get().status == "requested"


@transactional
def test_who_may_read_no_more_is_let_go(claimed, administrator, monkeypatch):
    monkeypatch.setattr(sse, "BEAT", 0.2)
    looks = [administrator, None]

    async def follow():
        async with asyncio.timeout(60):
            return [raw async for raw in tail(lambda: looks.pop(0), claimed.id, "stdout", None, 0)]

    assert asyncio.run(follow()) == [sse.RECONNECT, sse.BEAT_FRAME]


@transactional
def test_the_last_one_who_leaves_ends_the_work(claimed, administrator):
    async def follow():
        generator = tail(lambda: administrator, claimed.id, "stdout", None, 0)
        await anext(generator)
        busy = len(hub()._tasks)
        await generator.aclose()
        return busy, hub()._tasks, hub()._wakers

    assert asyncio.run(follow()) == (3, [], {})


@transactional
def test_rest_of_a_log_wakes_its_stream(administrator, claimed):
    write(claimed, "one\n")
    rest = Rest(1, (Piece(claimed.id, claimed.token, 1, "stdout", 4, b"two"),))

    def finish():
        lifecycle.finish([Ended(claimed.id, claimed.token, "completed", {}, rest=rest)])

    frames = collect(administrator, claimed.id, during=[finish])

    assert [frame.data for frame in frames[1:-1]] == ["one\n", "two"]
