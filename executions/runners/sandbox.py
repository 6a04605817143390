"""What a host imposes on every run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from executions.runners.limits import Limits

Mode = Literal["none", "user", "bwrap"]
MODES: tuple[Mode, ...] = ("none", "user", "bwrap")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What keeps a run apart from its host: nothing, a user of its own, or bubblewrap around it.

    `margin`: a run is killed so many seconds before its lease ends. `hidden`: folders that are empty in
    a bubblewrap; `shown`: what of them can be read all the same.
    """

    mode: Mode = "none"
    uids: range = range(64000, 65000)
    limits: Limits = field(default_factory=Limits)
    pid_namespace: bool = True
    margin: float = 0.0
    hidden: tuple[Path, ...] = ()
    shown: tuple[Path, ...] = ()

    @property
    def lends_users(self) -> bool:
        """Whether each run gets a user of its own: only root can give it one."""
        return self.mode == "user" or (self.mode == "bwrap" and os.geteuid() == 0)
