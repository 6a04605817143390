"""Why an execution that is scheduled has no worker yet, in words. Pure: rows come in as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from executions.runners import runtime_of
from executions.runners.offers import meets, name_of

BUILTIN = "core.builtin"


@dataclass(frozen=True)
class Wish:
    """What an execution needs of a worker."""

    pool: str | None
    labels: Mapping[str, str] = field(default_factory=dict)
    runtime: str | None = None  # None: any; its action is gone
    requirements: Mapping[str, str] = field(default_factory=dict)
    pack: str | None = None  # `ref version`, if its files are needed


@dataclass(frozen=True)
class Host:
    """A worker as its row shows it."""

    pool: str | None
    capabilities: Mapping[str, Any]
    cordoned: bool = False
    busy: bool = False
    alive: bool = True


@dataclass(frozen=True)
class Situation:
    """What a wish waits for. `able`: a worker will come to it by itself."""

    reason: str
    able: bool


def wish(pool: str | None, labels: Mapping[str, str] | None, action: Mapping[str, Any] | None) -> Wish:
    """Return what an execution of an action needs; `action` has the columns that say so, and `pack`."""
    if action is None:
        return Wish(pool, labels or {})
    runtime = action["runtime_ref"] or runtime_of(action["entrypoint"])
    pack = action["pack"] if runtime != BUILTIN else None
    return Wish(pool, labels or {}, runtime, action["required_worker_runtimes"] or {}, pack)


def situation(wanted: Wish, hosts: Sequence[Host]) -> Situation:
    """Return what a wish waits for, given the workers that live."""
    pool = wanted.pool or "default"
    fit = [host for host in hosts if host.pool == wanted.pool and host.alive]
    if not fit:
        return Situation(f"no worker in pool {pool}", False)
    for narrow, lack in _NARROWING:
        fit_now = [host for host in fit if narrow(wanted, host.capabilities)]
        if not fit_now:
            return Situation(f"no worker in pool {pool} {lack(wanted, fit)}", False)
        fit = fit_now
    if all(host.cordoned for host in fit):
        return Situation(f"every worker in pool {pool} that could run it is cordoned", False)
    if all(host.busy for host in fit if not host.cordoned):
        return Situation(f"every worker in pool {pool} that could run it is busy", True)
    return Situation(waiting_for(wanted.pool), True)


def waiting_for(pool: str | None) -> str:
    """Return what is said of an execution that has just been scheduled."""
    return f"waiting for a worker in pool {pool or 'default'}"


def placeable(wanted: Wish, hosts: Sequence[Host]) -> bool:
    """Return whether one of the workers could run it, alive or only lately so, cordoned or not."""
    mine = [host for host in hosts if host.pool == wanted.pool]
    return any(all(narrow(wanted, host.capabilities) for narrow, _ in _NARROWING) for host in mine)


# What a row doesn't tell, of a worker that has only just begun, is no reason against it.
def _has_labels(wanted: Wish, has: Mapping[str, Any]) -> bool:
    labels = has.get("labels") or {}
    return all(labels.get(name) == value for name, value in wanted.labels.items())


def _has_runtime(wanted: Wish, has: Mapping[str, Any]) -> bool:
    return wanted.runtime is None or "runtimes" not in has or wanted.runtime in has["runtimes"]


def _meets(wanted: Wish, has: Mapping[str, Any]) -> bool:
    return not wanted.requirements or "versions" not in has or meets(wanted.requirements, has["versions"])


def _has_pack(wanted: Wish, has: Mapping[str, Any]) -> bool:
    if wanted.pack is None or "packs" not in has:
        return True
    ref, _, version = wanted.pack.partition(" ")
    return bool(has["packs"].get(ref) == version)


def _lacks_labels(wanted: Wish, fit: Sequence[Host]) -> str:
    return "has the labels " + ", ".join(f"{name}={value}" for name, value in sorted(wanted.labels.items()))


def _lacks_runtime(wanted: Wish, fit: Sequence[Host]) -> str:
    return f"offers {name_of(wanted.runtime or '')}"


def _lacks_version(wanted: Wish, fit: Sequence[Host]) -> str:
    unmet = {
        name: constraint
        for name, constraint in sorted(wanted.requirements.items())
        if not any(_meets(Wish(None, requirements={name: constraint}), host.capabilities) for host in fit)
    }
    return "offers " + " and ".join(
        f"{name} {constraint}" for name, constraint in (unmet or wanted.requirements).items()
    )


def _lacks_pack(wanted: Wish, fit: Sequence[Host]) -> str:
    return f"has a copy of the pack {wanted.pack}"


_NARROWING = (
    (_has_labels, _lacks_labels),
    (_has_runtime, _lacks_runtime),
    (_meets, _lacks_version),
    (_has_pack, _lacks_pack),
)
