import uuid

import pytest
import structlog

from attune_project.rest.trace import current_trace_id, end_trace, new_trace

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_trace():
    end_trace()
    yield
    end_trace()


def test_a_request_keeps_the_id_it_came_with(stranger):
    trace = str(uuid.uuid4())

    answer = stranger.get("/api/v1/nothing", headers={"X-Request-Id": trace})

    assert answer.headers["X-Request-Id"] == trace


@pytest.mark.parametrize("text", ["", "not a uuid", "1" * 400])
def test_a_request_without_an_id_gets_one(stranger, text):
    answer = stranger.get("/api/v1/nothing", headers={"X-Request-Id": text})

    assert uuid.UUID(answer.headers["X-Request-Id"])
    assert answer.headers["X-Request-Id"] != text


def test_a_trace_begins_when_somebody_asks():
    assert current_trace_id() == current_trace_id()


def test_log_lines_carry_the_trace():
    trace = new_trace()

    assert structlog.contextvars.get_contextvars()["trace_id"] == str(trace)


def test_a_request_leaves_no_trace_behind(stranger):
    answer = stranger.get("/api/v1/nothing")

    assert str(current_trace_id()) != answer.headers["X-Request-Id"]
