"""What rules say of payloads, and what they said of events."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.identity.rbac import Caller, allowed, visible
from attune_project.rest.errors import BadRequest, Unprocessable
from attune_project.rest.filters import RowFilters, refuse_unknown
from attune_project.rest.views import RowViewSet, View, answer
from rules.api.bodies import Question
from rules.api.shapes import AnswerShape, EvaluationShape
from rules.evaluating import Answer, evaluate, shown_clauses
from rules.evaluations import Evaluation, evaluations_of
from rules.models import Rule
from rules.problems import Problems, problems_of_question
from sensors.models import Event


class EvaluateView(View):
    """Ask conditions about a payload."""

    resource = "rules"
    permission_map = {"post": "read"}

    @extend_schema(request=Question, responses=AnswerShape, operation_id="rules_evaluate")
    def post(self, request: Request) -> Response:
        question = Question(data=request.data)
        question.is_valid(raise_exception=True)
        asked: dict[str, Any] = question.validated_data
        name = "conditions" if asked.get("criteria") is None else "criteria"
        problems = problems_of_question(conditions=asked.get(name), action_params=asked.get("action_params"))
        if problems:
            raise Unprocessable(_named(problems, name))
        params = {key: asked.get(key) for key in ("trigger_params", "action_params")}
        return answer(shown(evaluate(asked.get(name), asked.get("payload"), **params)))


def _named(problems: Problems, name: str) -> Problems:
    """Put problems of conditions under the name that the body gave them."""
    return {
        f"{name}{path.removeprefix('conditions')}" if path.startswith("conditions") else path: texts
        for path, texts in problems.items()
    }


def shown(said: Answer) -> dict[str, Any]:
    body = {
        "matched": said.matched,
        "outcome": said.outcome,
        "reason": said.reason,
        "clauses": shown_clauses(said.clauses),
    }
    return body if said.rendered is None else {**body, "rendered": said.rendered}


class EvaluationsOfEvent(RowViewSet):
    """`GET /events/{id}/evaluations`."""

    queryset = Event.objects.all()
    resource = "events"
    permission_map = {"evaluations": "read"}
    lookup_value_regex = "[0-9]+"
    serializer_class = EvaluationShape

    @extend_schema(responses=EvaluationShape(many=True), operation_id="events_evaluations")
    def evaluations(self, request: Request, pk: str) -> Response:
        event = self.get_object()
        wanted = _within(request)
        rows = [row for row in evaluations_of(event) if wanted(row)]
        page = self.paginate_queryset(_readable(request.user, rows))
        return self.get_paginated_response(EvaluationShape(page, many=True).data)


def _within(request: Request) -> Any:
    """Return the filter that every list has, for rows that aren't all of one table."""
    refuse_unknown(request, set(RowFilters.base_filters))
    filters = RowFilters(request.query_params, queryset=Event.objects.none())
    if not filters.is_valid():
        name, texts = next(iter(filters.errors.items()))
        raise BadRequest(f"{name}: {texts[0]}")
    after, before = (filters.form.cleaned_data[f"created_{word}"] for word in ("after", "before"))
    return lambda row: (not after or row.created > after) and (not before or row.created < before)


def _readable(caller: Caller, rows: list[Evaluation]) -> list[Evaluation]:
    """Leave out rules that the caller may not read; one that is gone is judged by its ref."""
    there: QuerySet[Rule] = Rule.objects.filter(pk__in=[row.rule for row in rows if row.rule])
    known = set(there.values_list("pk", flat=True))
    seen = set(visible(caller, "rules", there).values_list("pk", flat=True))
    return [row for row in rows if (row.rule in seen if row.rule in known else _may_read(caller, row))]


def _may_read(caller: Caller, row: Evaluation) -> bool:
    gone = Rule(pk=row.rule, ref=row.rule_ref, pack_ref=row.rule_ref.partition(".")[0])
    return allowed(caller, "rules", "read", gone)
