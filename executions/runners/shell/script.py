"""An inline script with its parameters as shell variables.

The values lie in a file that only its user can read, and in the shell's own memory: never in argv or
in the environment, where every process of the host could look. Nothing is quoted: bash reads each
value up to a NUL, byte for byte (and a quoted megabyte takes it minutes).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from executions.runners.parameters import plain
from executions.runners.program import Unrunnable

_OTHER = re.compile(r"[^A-Za-z0-9_]")

# Names that mean something to bash, or to what it starts. Setting them would change the script.
_SHELLS_OWN = re.compile(
    r"_|[0-9].*|ATTUNE_.*|BASH.*|COMP_.*|COMPREPLY|COPROC|DIRSTACK|EPOCH.*|EXECIGNORE|FCEDIT|FIGNORE"
    r"|FUNCNAME|FUNCNEST|GLOBIGNORE|GLOBSORT|GROUPS|HIST[A-Z]+|histchars|HOSTFILE|HOSTNAME|HOSTTYPE|IFS"
    r"|IGNOREEOF|INPUTRC|LANG|LANGUAGE|LC_.*|LD_.*|LINENO|LINES|COLUMNS|MACHTYPE|MAIL|MAILCHECK|MAILPATH"
    r"|MAPFILE|OLDPWD|OPTARG|OPTERR|OPTIND|OSTYPE|PATH|CDPATH|ENV|HOME|PIPESTATUS|POSIXLY_CORRECT|PPID"
    r"|PROMPT_[A-Z]+|PS[0-4]|PWD|RANDOM|SRANDOM|READLINE_.*|REPLY|SECONDS|SHELL|SHELLOPTS|SHLVL|TERM"
    r"|TIMEFORMAT|TMOUT|TMPDIR|TZ|UID|EUID|EMACS|INSIDE_EMACS|CHILD_MAX|auto_resume"
)


class Unspeakable(Unrunnable):
    """A value that no shell variable can hold."""


def variables(
    parameters: Mapping[str, Any],
    keys: Mapping[str, Any],
    exported: Collection[str],
    declared: Collection[str] = (),
) -> dict[str, str]:
    """Return the shell variables of an inline script; raise Unspeakable for a value with NUL.

    `exported` are the names in the environment: assigning one of them would change it, for every
    program that the script starts. `declared` are the parameters that the schema has checked: what a caller
    adds under another spelling never takes the place of one.
    """
    known = {name: value for name, value in parameters.items() if name in declared}
    extra = {name: value for name, value in parameters.items() if name not in declared}
    named = {**_named(keys), **_named(extra), **_named(known)}
    values = {name: value for name, value in named.items() if not _SHELLS_OWN.fullmatch(name)}
    values |= _prefixed(extra) | _prefixed(known)
    if any("\x00" in value for value in values.values()):
        raise Unspeakable("A parameter with a NUL character can't be a shell variable")
    return {name: value for name, value in values.items() if name not in exported}


def values_file(values: Mapping[str, str]) -> bytes:
    return b"".join(value.encode() + b"\0" for value in values.values())


def inline(script: str, names: Collection[str], values: Path) -> bytes:
    """Return the script behind what reads its variables, on its first line: line numbers hold."""
    reads = "".join(f"IFS= read -r -d '' {name}; " for name in names)
    prelude = f"{{ {reads}}} < {quote(str(values))}; " if names else ""
    return f"set -e; {prelude}{script}".encode()


def _named(values: Mapping[str, Any]) -> dict[str, str]:
    """Return values by shell name. Of two that become one name, that which is spelt so wins."""
    spelt = {name: plain(value) for name, value in values.items() if name and not _OTHER.search(name)}
    return {_OTHER.sub("_", name): plain(value) for name, value in values.items() if name} | spelt


def _prefixed(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return PARAM_<NAME> for each parameter, in upper case and as it is spelt."""
    named = _named(parameters)
    upper = {f"PARAM_{name.upper()}": value for name, value in named.items()}
    return upper | {f"PARAM_{name}": value for name, value in named.items()}
