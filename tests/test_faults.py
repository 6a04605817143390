"""Fault points: named in one table, passed by the code, told by the docs; free of effect until armed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from attune_project import faults
from attune_project.faults import POINTS, Fault, FaultRaised, arm, fault, parse
from attune_project.messaging.checks import check_faults
from attune_project.service import SERVICES

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("attune_project", "sensors", "executions", "rules")


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    arm(())


def named_in_code() -> list[str]:
    """Return the argument of each call of `fault`."""
    files = [path for place in PLACES for path in (ROOT / place).rglob("*.py")]
    calls = [
        node
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "fault"
    ]
    return [ast.literal_eval(call.args[0]) for call in calls]


def test_every_point_is_passed_somewhere_and_no_other_is():
    assert set(named_in_code()) == {point.name for point in POINTS}


def test_the_docs_list_every_point():
    lines = (ROOT / "docs" / "reliability.md").read_text().splitlines()

    listed = [line for line in lines if line.startswith("| `")]

    assert listed == [f"| `{p.name}` | {', '.join(p.services)} | {p.meaning} |" for p in POINTS]


def test_points_have_names_of_their_own_and_services_that_exist():
    assert len({point.name for point in POINTS}) == len(POINTS)
    assert all(point.services and set(point.services) <= set(SERVICES) for point in POINTS)


def test_what_is_asked_for_is_read():
    assert parse("match.claimed:kill, ring.before_send:sleep:3:0.5") == (
        Fault("match.claimed", "kill"),
        Fault("ring.before_send", "sleep", 3, 0.5),
    )
    assert parse("") == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nowhere:kill", "no point is called 'nowhere'"),
        ("match.claimed", "expected one of kill, raise, sleep, freeze"),
        ("match.claimed:explode", "expected one of kill, raise, sleep, freeze"),
        ("match.claimed:kill:0", "expected point:action:n:seconds"),
        ("match.claimed:kill:x", "expected point:action:n:seconds"),
        ("match.claimed:sleep:1:-1", "expected point:action:n:seconds"),
        ("match.claimed:sleep:1:nan", "expected point:action:n:seconds"),
        ("match.claimed:sleep:1:1:1", "expected point:action:n:seconds"),
    ],
)
def test_what_there_isnt_is_refused(text, why):
    with pytest.raises(ImproperlyConfigured) as refused:
        parse(text)

    assert str(refused.value) == f"ATTUNE_FAULTS={text!r}: {why}"


def test_a_process_that_is_asked_for_an_unknown_point_does_not_start():
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, capture_output=True, text=True, check=False,
        env={"ATTUNE_ENV": "test", "ATTUNE_FAULTS": "nowhere:kill", "PATH": ""},
    )  # fmt: skip

    assert ended.returncode != 0
    assert "ATTUNE_FAULTS='nowhere:kill': no point is called 'nowhere'" in ended.stderr


def test_nothing_happens_at_points_that_are_not_armed():
    fault("match.claimed")
    arm(parse("match.before_commit:raise"))
    fault("match.claimed")


def test_it_happens_once_at_the_nth_passing():
    arm(parse("match.claimed:raise:2"))

    fault("match.claimed")
    with pytest.raises(FaultRaised, match=r"match\.claimed"):
        fault("match.claimed")
    fault("match.claimed")


def test_a_sleep_lasts_as_long_as_it_is_told(monkeypatch):
    slept = []
    monkeypatch.setattr(faults.time, "sleep", slept.append)
    arm(parse("match.claimed:sleep:1:7"))

    fault("match.claimed")

    assert slept == [7.0]


@pytest.mark.parametrize(("action", "name"), [("kill", "SIGKILL"), ("freeze", "SIGSTOP")])
def test_it_says_so_and_signals_itself(monkeypatch, capfd, action, name):
    sent = []
    monkeypatch.setattr(faults.os, "kill", lambda pid, signum: sent.append((pid, signum.name)))
    arm(parse(f"match.claimed:{action}"))

    fault("match.claimed")

    assert sent == [(faults.os.getpid(), name)]
    assert capfd.readouterr().err == f"FAULT match.claimed:{action}\n"


def test_production_is_warned(settings):
    settings.PRODUCTION, settings.ATTUNE_FAULTS = True, parse("match.claimed:kill")

    (warning,) = check_faults()

    assert warning.id == "attune.W001"
    assert "kill, freeze or fail themselves at match.claimed" in warning.msg


def test_nobody_else_is(settings):
    settings.PRODUCTION, settings.ATTUNE_FAULTS = False, parse("match.claimed:kill")
    assert check_faults() == []

    settings.PRODUCTION, settings.ATTUNE_FAULTS = True, ()
    assert check_faults() == []


def test_the_checks_of_the_suite_pass():
    call_command("check", "--tag", "messaging")
