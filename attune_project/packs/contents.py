"""Lists of what packs hold: `/things`, with standard packs first, and `/packs/{ref}/things`."""

from typing import Any, TypeVar

from django.db.models import F, Model, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.identity.rbac import visible_or_404
from attune_project.rest.ordering import NEWEST_FIRST

from .models import Pack

M = TypeVar("M", bound=Model)
STANDARD_FIRST = (F("pack__is_standard").desc(nulls_last=True), *NEWEST_FIRST)


class OfPack:
    """Mix into a list view whose route has the pack's ref: the pack must be visible to the caller."""

    def get_queryset(self: Any) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset()  # type: ignore[misc]
        return rows.filter(pack_ref=self.kwargs["ref"]) if "ref" in self.kwargs else rows

    def list(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        visible_or_404(request.user, "packs", Pack.objects.all(), ref=self.kwargs["ref"])
        answer: Response = super().list(request, *args, **kwargs)  # type: ignore[misc]
        return answer


def locked_or_404(row: M) -> M:
    """Return the row as it is now, locked until the transaction ends, so that no change of it is lost."""
    current = type(row)._default_manager.select_for_update(of=("self",)).filter(pk=row.pk).first()
    if current is None:
        raise NotFound("Not found.")
    return current
