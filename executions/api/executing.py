"""Run an action now."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.identity.models import Identity
from attune_project.identity.references import VisibleRef
from attune_project.rest.errors import Unprocessable
from attune_project.rest.query import flag
from attune_project.rest.serializers import Map, Number, Text
from attune_project.rest.trace import current_trace_id
from attune_project.rest.views import View, answer
from executions.api.fields import Labels, PoolName
from executions.api.shapes import JOINED, ExecutionDetail
from executions.models import Action, Execution
from executions.requesting import Wanted, check_parameters, request_executions
from executions.starting import require_start


class Wish(serializers.Serializer[Any]):
    """What to run. Parameters are checked at admission: unfit ones make an execution that `failed`.

    With `?validate=true` they are refused.
    """

    action_ref = VisibleRef(Action, resource="actions")
    parameters = Map(required=False, allow_null=True)
    env_vars = serializers.DictField(
        child=Text(allow_blank=True, trim_whitespace=False), required=False, allow_null=True
    )
    permission_set_refs = serializers.ListField(child=Text(), required=False, allow_null=True)
    worker_pool = PoolName(required=False, allow_null=True)
    worker_selector = Labels(required=False, allow_null=True)
    priority = Number(required=False, allow_null=True, min_value=-1000, max_value=1000)


class ExecuteView(View):
    resource = "actions"
    permission_map = {"post": "execute"}

    @extend_schema(
        request=Wish,
        parameters=[OpenApiParameter("validate", bool, description="Refuse unfit parameters (422).")],
        responses={201: ExecutionDetail},
        operation_id="executions_execute",
    )
    def post(self, request: Request) -> Response:
        strict = flag(request.query_params, "validate", default=False)
        wish = Wish(data=request.data, context={"request": request})
        wish.is_valid(raise_exception=True)
        assert isinstance(request.user, Identity)
        one = wanted(wish.validated_data, request.user)
        if strict:
            refuse_unfit(one)
        [row_id] = request_executions([one])
        execution = Execution.objects.select_related(*JOINED).get(pk=row_id)
        return answer(ExecutionDetail(execution).data, status=201)


def refuse_unfit(one: Wanted) -> None:
    """Answer 422 for parameters that would make an execution that `failed`."""
    _, problems = check_parameters(one.action, one.parameters)
    if problems:
        raise Unprocessable({f"parameters.{path}".rstrip("."): texts for path, texts in problems.items()})


def wanted(values: dict[str, Any], caller: Identity) -> Wanted:
    """Return what is to be made, once the caller may run the action with these rights."""
    lent = values.get("permission_set_refs") or []
    require_start(caller, values["action_ref"], lent)
    return Wanted(
        action=values["action_ref"],
        parameters=values.get("parameters") or {},
        trace_id=current_trace_id(),
        executor_id=caller.pk,
        env_vars=values.get("env_vars"),
        permission_set_refs=lent,
        worker_pool=values.get("worker_pool"),
        worker_selector=values.get("worker_selector"),
        priority=values.get("priority") or 0,
    )
