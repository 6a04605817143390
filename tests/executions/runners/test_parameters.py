import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from executions.runners.environment import permitted
from executions.runners.parameters import render

DOCUMENT: dict[str, Any] = {
    "text": 'it\'s\n"so" \\n ü',
    "on": True,
    "none": None,
    "list": [1, {"a": "b"}],
    "empty": {},
    "deep": {"b": {"c": 1.5}, "a": "x"},
    "yes": "no",
}


def test_json_is_one_line() -> None:
    raw = render(DOCUMENT, "json")

    assert raw.count(b"\n") == 1
    assert raw.endswith(b"}\n")
    assert json.loads(raw) == DOCUMENT


def test_yaml_reads_back() -> None:
    assert yaml.safe_load(render(DOCUMENT, "yaml")) == DOCUMENT


def test_dotenv_is_sorted_and_flat() -> None:
    lines = render(DOCUMENT, "dotenv").decode().splitlines()

    assert lines == [
        "deep.a='x'",
        "deep.b.c='1.5'",
        "empty='{}'",
        """list='[1,{"a":"b"}]'""",
        "none=''",
        "on='true'",
        """text='it'\\''s\\n"so" \\n ü'""",
        "yes='no'",
    ]


@pytest.mark.parametrize(
    "name", ["v=$(touch pwned)", "x\nv=$(touch pwned)", "v=`touch pwned`;", "v[$(id)]", "", "a b"]
)
def test_dotenv_leaves_out_names_that_could_be_more_than_names(name: str) -> None:
    document = {name: "x", "deep": {name: "x", "a": "y"}, "v": "1", "wörd-2": "z"}

    assert render(document, "dotenv").decode() == "deep.a='y'\nv='1'\nwörd-2='z'\n"


def test_a_shell_reads_dotenv_and_runs_nothing_of_it(tmp_path: Path) -> None:
    hostile = "a' b; touch pwned; $(touch pwned) `touch pwned`"
    (tmp_path / "env").write_bytes(render({"v": hostile}, "dotenv"))

    run = subprocess.run(
        ["bash", "-c", '. ./env; printf %s "$v"'], cwd=tmp_path, capture_output=True, check=True
    )

    assert run.stdout.decode() == hostile
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "name",
    [
        *("ATTUNE_API_TOKEN", "LD_PRELOAD", "PATH", "HOME", "IFS", "ENV", "BASH_ENV", "PYTHONPATH"),
        *("NODE_OPTIONS", "HTTP_PROXY", "https_proxy", "BASH_FUNC_x%%", "A=B", "", "a b", "SHELLOPTS"),
    ],
)
def test_dangerous_variables_are_never_permitted(name: str) -> None:
    assert permitted({name: "x"}, [name]) == {}


def test_only_variables_that_the_action_names_are_permitted() -> None:
    assert permitted({"REGION": "eu", "OTHER": "x"}, ["REGION", "ABSENT"]) == {"REGION": "eu"}
