"""The result as Markdown, for docs/performance.md."""

from collections.abc import Mapping
from typing import Any

COLUMNS = ("case", "median", "min", "max", "by hand", "ratio")


def markdown(found: Mapping[str, Any]) -> str:
    """Return tables: the cases beside the hand-written pipeline, then all else that each case found."""
    parts = [_where(found), "", _row(COLUMNS), _row(["---"] * len(COLUMNS))]
    parts += [_row(_summary(name, case)) for name, case in found["cases"].items()]
    for name, case in found["cases"].items():
        if "failed" not in case:
            parts += ["", f"### {name}", "", _row(("", "")), _row(("---", "---"))]
            parts += [_row(pair) for pair in _flat(case)]
    for name, one in found.get("profile", {}).items():
        parts += ["", f"### Profile: {name}", "", *_profile(one)]
    return "\n".join(parts)


def _where(found: Mapping[str, Any]) -> str:
    machine, versions = found["machine"], found["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    settings = ", ".join(f"{name}={value}" for name, value in machine["postgres"].items())
    return (
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_mib']} MiB,"
        f" Linux {machine['kernel']}, load before {machine['load_before']}; {named};"
        f" PostgreSQL: {settings}; {found['seconds']} s in all."
    )


def _summary(name: str, case: Mapping[str, Any]) -> list[str]:
    if "failed" in case:
        return [name, f"**failed**: {case['failed']}", "", "", "", ""]
    keys = ("median", "min", "max", "baseline_median", "ratio_to_baseline")
    values = [_number(case[key]) if case.get(key) is not None else "" for key in keys]
    return [f"{name} ({case['unit']})", *values]


def _flat(case: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return every value with its path."""
    pairs = []
    for key, value in case.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{path}.")
        elif isinstance(value, list):
            pairs.append((path, ", ".join(map(_number, value))))
        else:
            pairs.append((path, _number(value)))
    return pairs


def _profile(one: Mapping[str, Any]) -> list[str]:
    rest = {key: value for key, value in one.items() if key != "statements"}
    lines = [_row(("", "")), _row(("---", "---")), *(_row(pair) for pair in _flat(rest)), ""]
    head = ("service", "statement", "times an event", "ms an event")
    lines += [_row(head), _row(["---"] * 4)]
    return lines + [
        _row((row["service"], f"`{row['statement']}`", str(row["per_event"]), str(row["ms_per_event"])))
        for row in one["statements"]
    ]


def _number(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _row(cells: Any) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
