"""The judge of a campaign finds what may not be: one that finds nothing would be content with anything."""

from collections import Counter
from dataclasses import replace

import pytest

from executions.runners.process import GUARD_KILLED
from tests.zoo.judging import Attempt, History, Row, Torment, unprovoked, wrong

RUN = "5.123"
LOST = {"abandoned_by": "lease_expired", "original_status": "running"}
SHOT = {"exit_code": 137, "error": "Command exited with code 137 (killed by signal 9 (SIGKILL))"}
KILLED = History([Torment("kill", "action", 0, 0, row_id=5)], Counter({5: 1}), {RUN})


def row(name: str, *tries: str, **result: object) -> Row:
    attempts = tuple(Attempt(status, 1, 10.0, 20.0) for status in tries)
    return Row(5, f"turns.{name}", tries[-1], result, 7, attempts)


def problem(one: Row, history: History | None = None) -> str:
    found = wrong([one], history or History(begun=Counter({5: 1}), ended={RUN}))
    return found[0].rpartition(": ")[2] if found else ""


@pytest.mark.parametrize(
    ("one", "history"),
    [
        (row("once", "completed", stdout=f"{RUN} 7\n"), None),
        (row("answers", "completed", data={"run": RUN, "n": 7}), None),
        (row("steady", "abandoned", "abandoned", "abandoned", "completed", stdout=f"{RUN} 7\n"), None),
        (row("steady", "abandoned", "abandoned", "abandoned", "abandoned", **LOST), None),
        (row("once", "abandoned", **LOST), None),
        (row("fails", "failed", "failed", exit_code=7, error="as told"), None),
        (row("hangs", "timeout", error="turns.hangs timed out after 2 s"), None),
        (row("once", "failed", **SHOT), KILLED),
        (row("once", "failed", exit_code=137, error=GUARD_KILLED), KILLED),
    ],
)
def test_what_may_be_is_right(one: Row, history: History | None):
    assert problem(one, history) == ""


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (row("once", "abandoned", "completed", stdout=f"{RUN} 7\n"), "tried again too often after losses"),
        (row("once", "completed", "completed", stdout=f"{RUN} 7\n"), "it went on after an end"),
        (row("steady", "abandoned", **LOST), "given up too early"),
        (row("steady", *["abandoned"] * 5, **LOST), "tried again too often after losses"),
        (row("fails", "failed", exit_code=7, error="as told"), "not tried again"),
        (row("fails", "completed", stdout=f"{RUN} 7\n"), "it can't have succeeded"),
        (row("once", "failed", **SHOT), "it failed too often"),
        (row("once", "timeout", error="turns.once timed out after 2 s"), "turns.once timed out after 2 s"),
        (row("once", "cancelled"), "no end that it may have"),
        (row("once", "abandoned"), "abandoned by (None, None)"),
        (row("once", "completed", stdout=f"{RUN} 8\n"), f"the result of {RUN} with 8, not 7"),
        (row("once", "completed", stdout="5.9 7\n"), "the result of 5.9 with 7, not 7"),
        (row("talks", "completed", stdout=f"{RUN} 1\n{RUN} 7\n"), f"last '{RUN} 7'"),
        (row("answers", "completed"), "the result of None with None, not 7"),
        (replace(row("once", "completed"), status="failed"), "its last attempt ended otherwise"),
    ],
)
def test_what_may_not_be_is_found(one: Row, said: str):
    assert problem(one).endswith(said)


def test_a_second_run_of_an_attempt_is_found():
    twice = History(begun=Counter({5: 2}), ended={RUN})

    assert problem(row("once", "completed", stdout=f"{RUN} 7\n"), twice) == "more runs than attempts"


def test_a_loss_is_provoked_by_who_touched_its_worker_meanwhile():
    lost = row("once", "abandoned", **LOST)

    assert unprovoked([lost], [Torment("freeze", "worker", 8, 12, worker=1)]) == []
    assert len(unprovoked([lost], [Torment("freeze", "worker", 8, 12, worker=2)])) == 1
    assert len(unprovoked([lost], [Torment("kill", "worker", 30, 31, worker=1)])) == 1
