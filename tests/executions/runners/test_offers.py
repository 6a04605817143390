import dataclasses
import platform
from typing import Any

import pytest

from executions.runners import RunnerSettings
from executions.runners.offers import meets, offered, problems

HOST = {"python": "3.11.7", "node": "20.20.2", "shell": "5.2.15", "native": "1", "builtin": "1"}


def test_a_host_offers_what_it_has() -> None:
    found = offered()

    assert found.keys() == HOST.keys()
    assert found["python"].split(".")[:2] == platform.python_version().split(".")[:2]
    assert found["native"] == found["builtin"] == "1"


def test_a_runtime_that_is_not_there_is_not_offered() -> None:
    host = dataclasses.replace(RunnerSettings(), node="/nowhere/node", python="/nowhere/python")

    assert offered(host).keys() == {"shell", "native", "builtin"}


@pytest.mark.parametrize(
    "constraint",
    [
        "",
        "*",
        "20",
        "v20",
        "20.x",
        "20.20",
        "20.20.2",
        "^20",
        "^20.3",
        "^20.x",
        "~20",
        "~20.20",
        "~20.20.1",
        ">=18",
        ">=18,<21",
        ">=18 <21",
        ">= 18, < 21",
        "18 || 20",
        "^18 || ^20.1",
        "~=20.1",
        "!=19.*",
        "==20.*",
    ],
)
def test_met(constraint: str) -> None:
    assert meets({"node": constraint}, HOST)
    assert problems({"node": constraint}) == {}


@pytest.mark.parametrize(
    "constraint",
    ["2", "20.2", "^18", "^20.21", "^21", "~20.19", "~20.20.3", "<20", ">=18 <20", "18 || 22", "~=20.21"],
)
def test_not_met(constraint: str) -> None:
    assert not meets({"node": constraint}, HOST)
    assert problems({"node": constraint}) == {}


@pytest.mark.parametrize(
    ("constraint", "version"), [("^0.2.3", "0.3.0"), ("^0.2.3", "0.2.2"), ("^0.0.3", "0.0.4")]
)
def test_a_caret_keeps_the_first_part_that_is_not_zero(constraint: str, version: str) -> None:
    assert not meets({"node": constraint}, {"node": version})
    assert meets({"node": constraint}, {"node": constraint.lstrip("^")})


def test_all_of_them_are_required() -> None:
    assert meets({}, {})
    assert meets({"python": ">=3.10", "node": "20"}, HOST)
    assert not meets({"python": ">=3.10", "node": "22"}, HOST)


def test_a_runtime_that_is_not_offered_is_not_met() -> None:
    assert not meets({"node": ""}, {"python": "3.11.7"})


@pytest.mark.parametrize("name", ["python", "python3", "core.python"])
def test_aliases_and_refs_name_a_runtime(name: str) -> None:
    assert meets({name: ">=3.10"}, HOST)
    assert problems({name: ">=3.10"}) == {}


@pytest.mark.parametrize(
    "constraint", ["newest", ">=", ">=a.b", "20 and more", ">=3.10;", "<>", 20, None, ["20"]]
)
def test_what_is_no_constraint_is_a_problem_and_never_met(constraint: Any) -> None:
    assert problems({"node": constraint}).keys() == {"node"}
    assert not meets({"node": constraint}, HOST)


def test_an_unknown_runtime_is_a_problem() -> None:
    assert problems({"ruby": ">=3"}) == {
        "ruby": ["no such runtime; one of builtin, native, node, python, shell"]
    }


def test_what_is_no_map_is_a_problem() -> None:
    assert problems(["python"]) == {"": ["expected a map of runtimes to versions"]}
