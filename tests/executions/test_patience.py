"""A database that is away fails no action that hasn't begun."""

import pytest
from django.db import OperationalError

from executions.runners import Control
from executions.worker import patience
from executions.worker.patience import patiently


class Away(list):
    """What was asked for while the database was away, and how often that goes on."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    def __call__(self):
        self.append("asked")
        if len(self) <= self.times:
            raise OperationalError("the server closed the connection")
        return "answer"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(patience, "PAUSE", 0)
    monkeypatch.setattr(patience.connections, "close_all", lambda: None)


def test_it_is_asked_again_until_it_is_back():
    ask = Away(3)

    assert patiently(ask, Control()) == "answer"
    assert len(ask) == 4


def test_who_is_stopped_meanwhile_is_told_why_there_is_nothing():
    control, ask = Control(), Away(99)
    control.stop("lost")

    with pytest.raises(OperationalError, match="closed the connection"):
        patiently(ask, control)
    assert len(ask) == 1


def test_another_problem_is_raised_at_once():
    def broken():
        raise LookupError("no such thing")

    with pytest.raises(LookupError):
        patiently(broken, Control())
