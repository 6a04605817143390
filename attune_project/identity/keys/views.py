"""Routes of keys."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.identity.models import Key, OwnerType
from attune_project.identity.rbac import require
from attune_project.rest.errors import Conflict
from attune_project.rest.filters import Choices, Flag, RowFilters, Texts
from attune_project.rest.views import Catalogue

from .serializers import KeyBody, KeyItem, KeyShape
from .storing import UnreadableKey, locked, save_value, value_of


class KeyFilters(RowFilters):
    owner_type = Choices("owner_type", choices=OwnerType.choices)
    owner = Texts("owner")
    encrypted = Flag("encrypted")


class KeyViews(Catalogue):
    queryset = Key.objects.all()
    resource = "keys"
    lookup_field = "ref"
    lookup_value_regex = ".+"
    http_method_names = ["get", "post", "put", "delete", "head", "options"]
    serializer_class = KeyShape
    list_serializer_class = KeyItem
    write_serializer_class = KeyBody
    filterset_class = KeyFilters
    ordering_fields = ("ref", "owner_type", "owner", "name", "created", "id")

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        return rows.defer("value") if self.action == "list" else rows

    def show(self, row: Key, *, status: int = 200, message: str | None = None) -> Response:
        try:
            return super().show(row, status=status, message=message)
        except UnreadableKey as problem:
            raise Conflict(str(problem)) from None

    def make(self, serializer: Any) -> Key:
        values: dict[str, Any] = serializer.validated_data
        value, encrypted = values.pop("value"), values.pop("encrypted")
        return save_value(Key(**values), value, encrypted=encrypted)

    def change(self, row: Key, serializer: Any) -> Key:
        key = locked(row.pk)
        if key is None:
            raise NotFound("Not found.")
        values: dict[str, Any] = serializer.validated_data
        encrypted = values.get("encrypted", key.encrypted)
        value = values["value"] if "value" in values else _kept(self.request, key, encrypted)
        key.name = values.get("name", key.name)
        return save_value(key, value, encrypted=encrypted)


def _kept(request: Request, key: Key, encrypted: bool) -> Any:
    """Return the value that a change leaves; to lay a secret open is for those who may see it."""
    if key.encrypted and not encrypted:
        require(request.user, "keys", "decrypt", key)
    try:
        return value_of(key)
    except UnreadableKey as problem:
        raise Conflict(f"{problem}; give it another value") from None
