"""Which attempts are tried again: an action's `retry_on`. Pure: no database, no Django.

`{statuses: [failed, timeout], exit_codes: [75], expression: "{{ result().exit_code == 75 }}"}`: a failed or
timed-out attempt is tried again when any member holds; null means every one of them. How often is said by
`max_retries`, never here. Roots of the expression: `result`, `status` and `attempt` (its number);
`result()` has the keys of `data` merged to its top.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from attune_project.language.functions import FUNCTIONS, Function
from attune_project.language.templates import Template, TemplateError, compile_expression

STATUSES = ("failed", "timeout")
ROOTS = frozenset({"result", "status", "attempt"})
EXIT_CODES = range(-255, 256)  # negative: ended by that signal


class RetryError(ValueError):
    """An expression that has no answer: the attempt isn't tried again, and its result says why."""


def _merged(result: Mapping[str, Any]) -> dict[str, Any]:
    data = result.get("data")
    return {**result, **data} if isinstance(data, dict) else dict(result)


def _of_status(status: str) -> Function:
    return Function(lambda budget: budget.context["status"] == status, least=0, most=0)


_FUNCTIONS: Mapping[str, Function] = {
    **FUNCTIONS,
    "result": Function(lambda budget: _merged(budget.context["result"]), least=0, most=0),
    "failed": _of_status("failed"),
    "timed_out": _of_status("timeout"),
}


def problems(value: Any) -> dict[str, list[str]]:
    """Return what is wrong with a `retry_on`, by path; nothing wrong is empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        return {"": ["Expected an object."]}
    if not value.keys() & _CHECKS.keys():
        return {"": [f"Name at least one of {', '.join(_CHECKS)}."]}
    found = {name: [f"Unknown; known: {', '.join(_CHECKS)}."] for name in value if name not in _CHECKS}
    for name, check in _CHECKS.items():
        text = check(value[name]) if name in value else None
        if text:
            found[name] = [text]
    return found


def _statuses_problem(value: Any) -> str | None:
    good = isinstance(value, list) and value and all(one in STATUSES for one in value)
    return None if good else f"Expected a list with members of {', '.join(STATUSES)}."


def _exit_codes_problem(value: Any) -> str | None:
    good = isinstance(value, list) and value and all(type(one) is int and one in EXIT_CODES for one in value)
    return None if good else "Expected a list of whole numbers from -255 to 255."


def _expression_problem(value: Any) -> str | None:
    if not isinstance(value, str):
        return "Expected an expression."
    try:
        reads = {name.partition(".")[0] for name in _compiled(value).reads}
    except TemplateError as error:
        return error.message
    if reads - ROOTS:
        return f"Unknown root {min(reads - ROOTS)!r}; known: {', '.join(sorted(ROOTS))}."
    return None


_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "statuses": _statuses_problem,
    "exit_codes": _exit_codes_problem,
    "expression": _expression_problem,
}


@lru_cache(maxsize=256)
def _compiled(text: str) -> Template:
    return compile_expression(text, _FUNCTIONS)


def wanted(retry_on: Any, status: str, result: Mapping[str, Any], attempt: int) -> bool:
    """Tell whether an attempt that ended so is to be tried again; raise RetryError if that can't be told."""
    if status not in STATUSES:
        return False
    if retry_on is None:
        return True
    found = problems(retry_on)
    if found:
        raise RetryError(
            "; ".join(f"{path}: {texts[0]}" if path else texts[0] for path, texts in found.items())
        )
    return (
        status in retry_on.get("statuses", ())
        or result.get("exit_code") in retry_on.get("exit_codes", ())
        or _holds(retry_on.get("expression"), {"status": status, "result": result, "attempt": attempt})
    )


def _holds(expression: str | None, context: Mapping[str, Any]) -> bool:
    if expression is None:
        return False
    try:
        return bool(_compiled(expression).render(context))
    except TemplateError as error:
        raise RetryError(error.message) from None
