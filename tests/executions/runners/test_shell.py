import dataclasses
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from executions.runners import Control, RunnerSettings, run, runner_for
from tests.executions.runners.conftest import JOB, Run

AWKWARD = [
    "plain",
    "",
    " spaces  kept ",
    'it\'s "quoted"',
    "$HOME $(touch /tmp/attune-pwned) `id`",
    "back\\slash \\n \\' \\\\",
    "two\nlines\n\n",
    "tab\tcr\rbell\x07del\x7fsoh\x01",
    "* ? [a-z] ~ {a,b}",
    "; rm -rf / # | & > <",
    "-n",
    "ünï€ 𝄞 \u202e",
    "EOF\n'\"'\n!history",
]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    (tmp_path / "demo/actions").mkdir(parents=True)
    return tmp_path / "demo"


def write(pack: Path, name: str, text: str) -> str:
    (pack / "actions" / name).write_text(text)
    return name


@pytest.mark.parametrize("value", AWKWARD)
@pytest.mark.parametrize("name", ["value", "PARAM_VALUE", "PARAM_value"])
def test_a_variable_holds_its_parameter_byte_for_byte(shell: Run, name: str, value: str) -> None:
    outcome = shell(f'printf "%s." "${{{name}}}" | od -An -v -tx1', value=value)

    assert bytes.fromhex(outcome.result["stdout"]) == value.encode() + b"."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (1.5, "1.5"),
        (None, ""),
        ({"a": [1]}, '{"a":[1]}'),
        ([], "[]"),
    ],
)
def test_other_values_become_text(shell: Run, value: Any, text: str) -> None:
    outcome = shell('printf %s "$PARAM_V"', v=value)

    assert outcome.result["stdout"] == text


def test_parameters_are_not_exported(shell: Run) -> None:
    outcome = shell("env; tr '\\0' '\\n' < /proc/$$/cmdline; echo $word", word="needle", PARAM_X="needle")

    assert outcome.result["stdout"].count("needle") == 1


def test_other_characters_become_underscores(shell: Run) -> None:
    outcome = shell('echo "$PARAM_A_B $PARAM_a_b $a_b"', **{"a-b": "x"})

    assert outcome.result["stdout"] == "x x x\n"


def test_the_exact_name_wins_over_one_that_was_made_to_fit(shell: Run) -> None:
    outcome = shell('echo "$a_b $PARAM_a_b"', **{"a_b": "exact", "a-b": "made"})

    assert outcome.result["stdout"] == "exact exact\n"


def test_what_a_caller_adds_never_takes_the_place_of_what_the_schema_checked(shell: Run) -> None:
    given = {"times": 2, "TIMES": "evil", "a_b": 1, "a-b": "evil"}

    outcome = shell(
        'echo "$times $PARAM_TIMES $PARAM_times $a_b $PARAM_A_B"',
        job={"declared": frozenset({"times", "a_b"})},
        **given,
    )

    assert outcome.result["stdout"] == "2 2 2 1 1\n"


@pytest.mark.parametrize("name", ["PATH", "IFS", "HOME", "BASH_ENV", "ATTUNE_EXEC_ID", "UID", "PS4", "_"])
def test_a_parameter_never_sets_a_variable_of_the_shell(shell: Run, name: str) -> None:
    outcome = shell(f'printf %s "${{{name}-unset}}" "|$PARAM_{name.upper()}"', **{name: "hostile"})

    assert outcome.status == "completed"
    assert outcome.result["stdout"].count("hostile") == 1


def test_a_parameter_never_changes_the_environment(shell: Run) -> None:
    outcome = shell("env | grep GREETING", job={"env": {"GREETING": "hi"}}, GREETING="needle")

    assert outcome.result["stdout"] == "GREETING=hi\n"


def test_keys_are_variables_without_prefix_and_parameters_win(shell: Run) -> None:
    outcome = shell('echo "$a $b ${PARAM_B-none}"', job={"keys": {"a": "key", "b": "key"}}, a="given")

    assert outcome.result["stdout"] == "given key none\n"


def test_a_value_with_nul_fails(shell: Run) -> None:
    outcome = shell("echo", value="a\x00b")

    assert outcome.status == "failed"
    assert outcome.result["error"] == "A parameter with a NUL character can't be a shell variable"


def test_an_inline_script_ends_at_its_first_failure(shell: Run) -> None:
    outcome = shell("echo one\nfalse\necho two")

    assert outcome.status == "failed"
    assert outcome.result["stdout"] == "one\n"
    assert outcome.result["error"] == "Command exited with code 1"


def test_the_error_is_the_last_line_of_stderr(shell: Run) -> None:
    outcome = shell("echo first >&2; echo 'the cause ' >&2; echo >&2; exit 9", v="x")

    assert outcome.result["error"] == "the cause"
    assert outcome.result["exit_code"] == 9
    assert not outcome.result["succeeded"]


def test_line_numbers_of_a_script_are_its_own(shell: Run) -> None:
    outcome = shell("#!/bin/bash\n\nfrobnicate", one="1\n2\n3")

    assert outcome.result["error"].endswith("script: line 3: frobnicate: command not found")
    assert outcome.result["exit_code"] == 127


def test_parameters_come_on_stdin_as_one_line(shell: Run) -> None:
    outcome = shell("cat", a=[1, {"b": "ü"}])

    assert outcome.result["stdout"] == '{"a":[1,{"b":"ü"}]}\n'


def test_parameters_come_in_a_file(shell: Run) -> None:
    script = 'f=$ATTUNE_PARAMETER_FILE; stat -c %a "$f"; cat "$f"; echo "$f"; wc -c'
    outcome = shell(script, job={"parameter_delivery": "file"}, a=1)

    mode, content, path, rest = outcome.result["stdout"].splitlines()
    assert (mode, json.loads(content), rest) == ("400", {"a": 1}, "0")
    assert not Path(path).exists()


def test_an_unknown_parameter_format_fails(shell: Run) -> None:
    outcome = shell("cat", job={"parameter_format": "xml"}, a=1)

    assert outcome.status == "failed"
    assert outcome.result["error"] == "Parameter format 'xml' is unknown; one of json, yaml, dotenv"


def test_the_environment_is_built_from_nothing(shell: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTUNE_JWT_SECRET", "needle")
    monkeypatch.setenv("DATABASE_URL", "needle")
    outcome = shell("env")

    names = {line.split("=")[0] for line in outcome.result["stdout"].splitlines()}
    own = {"PATH", "HOME", "TMPDIR", "LANG", "TZ"}
    ours = {f"ATTUNE_{word}" for word in ("EXEC_ID", "ACTION", "PACK_REF", "API_URL")}
    assert names - {"PWD", "SHLVL", "_"} == own | ours | {
        "ATTUNE_PARAMETER_DELIVERY",
        "ATTUNE_PARAMETER_FORMAT",
    }


def test_the_run_folder_is_empty_private_and_gone_afterwards(shell: Run) -> None:
    outcome = shell("pwd; ls -A | wc -l; stat -c %a .; umask; mkdir -p a/b; touch a/b/c; chmod 000 a/b a")

    path, files, mode, umask = outcome.result["stdout"].splitlines()
    assert (files, mode, umask) == ("0", "700", "0077")
    assert not Path(path).parent.exists()


def test_a_file_of_the_pack_runs_in_the_pack(shell: Run, pack: Path) -> None:
    name = write(pack, "go.sh", 'false\npwd; echo "${PARAM_A-no variables}"; cat')

    outcome = shell(name, job={"pack_dir": pack}, a=1)

    assert outcome.result["stdout"] == f'{pack}\nno variables\n{{"a":1}}\n'


def test_an_entrypoint_that_is_no_file_is_the_script(shell: Run, pack: Path) -> None:
    outcome = shell("pwd; echo /actions/x", job={"pack_dir": pack})

    assert outcome.result["stdout"] == f"{pack}\n/actions/x\n"


def test_a_missing_file_fails(shell: Run, pack: Path) -> None:
    outcome = shell("missing.sh", job={"pack_dir": pack})

    assert outcome.status == "failed"
    assert "missing.sh: command not found" in outcome.result["error"]


@pytest.mark.parametrize("entrypoint", ["../../evil.sh", "x/../../../evil.sh", "link.sh", "dirlink/evil.sh"])
def test_a_file_outside_the_actions_is_refused(shell: Run, pack: Path, entrypoint: str) -> None:
    (pack.parent / "evil.sh").write_text("echo pwned")
    (pack / "actions/x").mkdir()
    (pack / "actions/link.sh").symlink_to(pack.parent / "evil.sh")
    (pack / "actions/dirlink").symlink_to(pack.parent)

    outcome = shell(entrypoint, job={"pack_dir": pack})

    assert outcome.status == "failed"
    assert outcome.result["error"] == f"Entrypoint {entrypoint!r} lies outside the pack's actions folder"


def test_a_link_inside_the_actions_is_followed(shell: Run, pack: Path) -> None:
    write(pack, "real.sh", "echo real")
    (pack / "actions/alias.sh").symlink_to("real.sh")

    assert shell("alias.sh", job={"pack_dir": pack}).result["stdout"] == "real\n"


@pytest.mark.parametrize("entrypoint", ["", " \n"])
def test_an_empty_entrypoint_fails(shell: Run, entrypoint: str) -> None:
    assert shell(entrypoint).result["error"] == "core.shell needs a file or a script as entrypoint"


def test_a_shell_that_is_missing_fails(shell: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executions.runners.shell.runner.BASH", "/nowhere/bash")

    assert shell("echo").result["error"] == "core.shell needs /nowhere/bash, which this host does not have"


def test_a_run_folder_that_can_not_be_made_fails(tmp_path: Path) -> None:
    job = dataclasses.replace(JOB, runtime_ref="shell", entrypoint="echo")

    outcome = run(job, Control(), RunnerSettings(runs_dir=tmp_path / "gone"))

    assert outcome.status == "failed"
    assert "No such file or directory" in outcome.result["error"]


def test_secrets_are_masked_in_every_output(shell: Run) -> None:
    outcome = shell(
        'echo "$k"; echo "bad $k" >&2; exit 1',
        job={"keys": {"k": 's3cr"et!'}, "secret_values": ('s3cr"et!',)},
    )

    assert outcome.result["stdout"] == "********\n"
    assert outcome.result["error"] == "bad ********"
    assert "s3cr" not in json.dumps(outcome.result)


def test_the_values_file_is_private(shell: Run) -> None:
    outcome = shell('stat -c "%a %n" "$HOME"/../*', a=1)

    modes = {Path(name).name: mode for mode, name in map(str.split, outcome.result["stdout"].splitlines())}
    assert modes == {"home": "700", "script": "600", "values": "600"}


def test_aliases_name_the_shell_and_nothing_is_inline() -> None:
    runner = runner_for("bash")

    assert runner is not None
    assert runner is runner_for("core.shell") is runner_for("sh")
    assert not runner.is_inline("echo")
    assert stat.S_ISREG(os.stat("/bin/bash").st_mode)
