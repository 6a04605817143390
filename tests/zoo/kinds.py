"""The kinds of actions under torment: what each does, and what must have come of one that ended by itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.zoo.holding import HOLD

LOST_RETRIES = 3
TRIGGER = "turns.go"
DAEMON = 'setsid bash -c \'exec -a "$0" sleep 86400\' "FOLDER/daemon" &\n'
STUBBORN = 'trap "" TERM\nsetsid bash -c \'trap "" TERM; while :; do sleep 1; done\' "FOLDER/daemon" &\n'
MOMENT = 'sleep "0.$((RANDOM % 10))"\n'
TEXT = 'note end\necho "$run $n"\n'


@dataclass(frozen=True)
class Kind:
    """A shell action: a file of its pack, or inline. It ends `ends` unless somebody is killed."""

    name: str
    body: str
    inline: bool = False
    idempotent: bool = False
    ends: str = "completed"
    max_retries: int = 0
    timeout: int = 300
    output_format: str = "text"

    @property
    def ref(self) -> str:
        return f"turns.{self.name}"

    @property
    def lost_retries(self) -> int:
        return LOST_RETRIES if self.idempotent else 0

    def script(self, folder: Path) -> str:
        start = "" if self.inline else "#!/bin/bash\nsource /dev/stdin\n"
        return (start + HOLD + self.body).replace("FOLDER", str(folder))

    def document(self, folder: Path) -> dict[str, Any]:
        return {
            "ref": self.ref,
            "label": self.name,
            "runner_type": "core.shell",
            "entry_point": self.script(folder) if self.inline else f"{self.name}.sh",
            "parameter_format": "dotenv",
            "parameters": {"n": {"type": "integer", "required": True}},
            "output_format": self.output_format,
            "timeout_seconds": self.timeout,
            "max_retries": self.max_retries,
            "idempotent": self.idempotent,
            **({"lost_worker_retries": LOST_RETRIES} if self.idempotent else {}),
        }

    def rule(self) -> dict[str, Any]:
        return {
            "ref": self.ref,
            "label": self.name,
            "trigger_ref": TRIGGER,
            "action_ref": self.ref,
            "action_params": {"n": "{{ event.payload.n }}"},
        }


KINDS = [
    Kind("steady", DAEMON + MOMENT + TEXT, idempotent=True),
    Kind("long", DAEMON + 'sleep "$((RANDOM % 5 + 1))"\n' + TEXT, idempotent=True),
    Kind("brief", MOMENT + TEXT, inline=True, idempotent=True),
    Kind("once", STUBBORN + MOMENT + TEXT),
    Kind("once_inline", DAEMON + 'sleep "$((RANDOM % 3))"\n' + TEXT, inline=True),
    Kind(
        "talks",  # now and then more than a worker keeps in memory
        'seq -f "$run %.0f" "$((RANDOM % 16 ? 400 : 12000))"\n' + MOMENT + TEXT,
        idempotent=True,
    ),
    Kind(
        "answers",
        'note end\nprintf \'{"run": "%s", "n": %d}\' "$run" "$n"\n',
        inline=True,
        idempotent=True,
        output_format="json",
    ),
    Kind("fails", MOMENT + "note end\necho 'as told' >&2\nexit 7\n", ends="failed", max_retries=1),
    Kind("hangs", DAEMON + "sleep 600\n", inline=True, ends="timeout", timeout=2),
]
BY_REF = {kind.ref: kind for kind in KINDS}


def write_pack(folder: Path, kinds: Sequence[Kind] = KINDS) -> Path:
    """Write the pack of the kinds, with a trigger and a rule for each of them; return its folder."""
    pack = folder / "pack"
    for name in ("actions", "rules", "triggers"):
        (pack / name).mkdir(parents=True)
    (folder / "locks").mkdir()
    _write(pack / "pack.yaml", {"ref": "turns", "label": "Turns", "version": "1.0.0"})
    _write(pack / "triggers" / "go.yaml", {"ref": TRIGGER, "label": "Go"})
    for kind in kinds:
        _write(pack / "actions" / f"{kind.name}.yaml", kind.document(folder))
        _write(pack / "rules" / f"{kind.name}.yaml", kind.rule())
        if not kind.inline:
            (pack / "actions" / f"{kind.name}.sh").write_text(kind.script(folder))
    return pack


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document))
