"""What runs came to, as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any


def markdown(runs: Sequence[dict[str, Any]]) -> str:
    """Return a line for each run, what was wrong, and a line for each kind of fault."""
    done = [one for one in runs if "account" in one]
    lines = [
        "| seed | faults | events | lost | doubled | wrong | invariants broken |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in done:
        found = one["account"]
        counts = [
            len(one["faults"]),
            one["events"],
            *(len(found[name]) for name in ("lost", "doubled", "wrong")),
        ]
        lines.append(f"| {one['seed']} | {' | '.join(map(str, counts))} | {len(one['invariants'])} |")
    lines += [f"* seed {one['seed']}: {one['error']}" for one in runs if "error" in one]
    for one in done:
        lines += problems_of(one)
    return "\n".join([*lines, "", *of_each_kind(done)])


def problems_of(one: dict[str, Any]) -> list[str]:
    told = [text for name in ("lost", "doubled", "wrong") for text in one["account"][name]]
    told += [f"invariant {broken['name']}: {broken}" for broken in one["invariants"]]
    told += [f"{fault['fault']}: {fault['problem']}" for fault in one["faults"] if fault["problem"]]
    told += [] if one["quiesced"] else ["did not come to rest"]
    told += [f"{one['set_aside']} rows were set aside and given back"] if one["set_aside"] else []
    told += [f"red at the end: {name}: {why}" for name, why in one["red_at_end"].items()]
    return [f"* seed {one['seed']}: {text}" for text in told]


def of_each_kind(runs: Iterable[dict[str, Any]]) -> list[str]:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for one in runs:
        for fault in one["faults"]:
            kinds.setdefault(fault["fault"], []).append(fault)
    lines = ["| fault | times | recovered, s (most) | named, s (most) | not named |", "|---|--:|--:|--:|--:|"]
    for name, all_of in sorted(kinds.items()):
        recovered = [fault["recovered"] for fault in all_of]
        stuck = sum(one is None for one in recovered)
        most = f"{stuck} NOT" if stuck else str(max(recovered))
        named = [fault["detected"] for fault in all_of if fault["detected"] is not None]
        silent = sum(bool(fault["expected"]) and fault["detected"] is None for fault in all_of)
        lines.append(f"| {name} | {len(all_of)} | {most} | {max(named, default='')} | {silent or ''} |")
    return lines
