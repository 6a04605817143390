"""Action parameters as they are shown: those that the action's schema calls secret stand as a marker."""

from collections.abc import Mapping
from typing import Any

from attune_project.language.redaction import all_redacted, redacted
from attune_project.language.templates import is_templated
from attune_project.packs.config import restored
from executions.models import Action


def shown_params(action: Action | None, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule's parameters without literal secrets; a template says where one is, not what it is.

    Of an action that is gone nobody knows the secrets: then every literal is hidden.
    """
    templates = {name: value for name, value in params.items() if is_templated(value)}
    return {**rendered_params(action, params), **templates}


def rendered_params(action: Action | None, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of an enforcement without secrets."""
    return all_redacted(params) if action is None else redacted(action.param_schema, params)


def stored_params(
    action: Action, given: Mapping[str, Any], before: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what is to be stored: a marker that comes back means the secret that is there already."""
    return restored(given, before or {}, action.param_schema)
