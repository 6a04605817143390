"""What a body names by its ref: rows that the caller may see, and permission sets that they may lend."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Model, QuerySet
from rest_framework.exceptions import PermissionDenied

from attune_project.rest.errors import Unprocessable
from attune_project.rest.serializers import RefOf

from .grants import readable
from .models import PermissionSet
from .rbac import Caller, holds, visible


class VisibleRef(RefOf):
    """A row that a body names by its ref; a hidden one is 404 like an absent one.

    The serializer must be given the request as context.
    """

    def __init__(self, model: type[Model], *, resource: str, **options: Any) -> None:
        self.resource = resource
        super().__init__(model, **options)

    def get_queryset(self) -> QuerySet[Any]:
        rows = self.model._default_manager.all()
        return visible(self.context["request"].user, self.resource, rows)


def require_lendable(identity: Caller, refs: Sequence[str], field: str) -> None:
    """Refuse permission sets with a grant that the identity lacks (403), or that are not there (422)."""
    found = dict(PermissionSet.objects.filter(ref__in=refs).order_by().values_list("ref", "grants"))
    missing = [ref for ref in refs if ref not in found]
    if missing:
        raise Unprocessable({field: [f"There is no permission set {missing[0]!r}."]})
    if not all(holds(identity, readable(grants)) for grants in found.values()):
        raise PermissionDenied("Permission denied: permissions:assign")
