"""What is wrong with a rule before it is saved: one judge for the API and for packs."""

from typing import Any

from attune_project.language.conditions import ConditionError, compile_conditions
from attune_project.language.schemas import errors
from attune_project.language.templates import TemplateError, compile_template
from executions.models import Action
from sensors.models import Trigger
from sensors.schedules import ScheduleError, is_timer, parse

Problems = dict[str, list[str]]


def problems_of(
    trigger: Trigger, action: Action, *, conditions: Any, action_params: Any, trigger_params: Any
) -> Problems:
    """Return the problems by field path (`conditions.all[1].operator`); none is empty."""
    return (
        _of_conditions(conditions)
        | _of_params("trigger_params", trigger.param_schema, trigger_params)
        | _of_timer(trigger, trigger_params)
        | _of_templates(action_params)
        | _of_params("action_params", action.param_schema, action_params)
    )


def problems_of_question(*, conditions: Any, action_params: Any) -> Problems:
    """Return the problems of conditions and templates alone, where no trigger and no action is named."""
    return _of_conditions(conditions) | _of_templates(action_params)


def _of_conditions(conditions: Any) -> Problems:
    try:
        compile_conditions(conditions)
    except ConditionError as error:
        return {_below("conditions", path): texts for path, texts in error.details.items()}
    return {}


def _of_templates(action_params: Any) -> Problems:
    try:
        compile_template(action_params)
    except TemplateError as error:
        return {_below("action_params", error.path): [error.message]}
    return {}


def _of_timer(trigger: Trigger, trigger_params: Any) -> Problems:
    if not is_timer(trigger.ref):
        return {}
    try:
        parse(trigger.ref, trigger_params)
    except ScheduleError as error:
        return {_below("trigger_params", error.field): [error.message]}
    return {}


def _of_params(field: str, schema: dict[str, Any] | None, params: Any) -> Problems:
    """Check values that hold templates as far as they are known: a templated one counts as fitting."""
    found = errors(schema, params, templated_fits=True)
    return {_below(field, path): texts for path, texts in found.items()}


def _below(field: str, path: str) -> str:
    if path == field or path.startswith((f"{field}.", f"{field}[")):
        return path
    return f"{field}{path}" if not path or path.startswith("[") else f"{field}.{path}"
