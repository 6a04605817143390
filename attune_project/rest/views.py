"""What every API view is made of.

Who may call a view is said by its attributes (see access.py); the permission class of settings reads them.
"""

from collections.abc import Mapping
from typing import Any

from django.db import models, transaction
from django.db.models import QuerySet
from rest_framework import mixins
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotFound
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from .access import GRANTED, OPEN, Access
from .changes import patch_changes, put_changes
from .errors import CHALLENGE, BadRequest, Unprocessable
from .negotiation import JsonFirst
from .parsers import DocumentParser, MergePatchParser
from .query import LARGEST, refuse_nul


def answer(data: Any, *, message: str | None = None, status: int = 200) -> Response:
    """Answer one object in its envelope."""
    body = {"data": data} if message is None else {"data": data, "message": message}
    return Response(body, status=status)


def deleted(row: models.Model) -> Response:
    """Answer a deletion; call it before the row loses its id."""
    data = {"id": row.pk, "ref": row.ref} if hasattr(row, "ref") else {"id": row.pk}
    return Response({"success": True, "message": f"{row._meta.verbose_name} deleted", "data": data})


class View(APIView):
    """A route of its own. `resource` and `permission_map = {"get": "read"}`, or `permission = OPEN`."""

    permission: Access = GRANTED
    resource: str = ""
    permission_map: Mapping[str, str] = {}
    content_negotiation_class = JsonFirst

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [] if self.permission is OPEN else super().get_authenticators()

    def get_authenticate_header(self, request: Request) -> str:
        """Challenge on open routes too: without one DRF would make a refused login a 403."""
        return CHALLENGE

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """Choose the form of the answer; who may not ask at all is told so before a form is refused."""
        try:
            chosen: tuple[BaseRenderer, str] = super().perform_content_negotiation(request, force)
        except BadRequest:
            self.perform_authentication(request)
            self.check_permissions(request)
            raise
        return chosen

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        refuse_nul(request)


class RowViewSet(View, GenericViewSet):
    """Rows of one model, found by `lookup_field` (a ref, dots and all, or an id)."""

    lookup_value_regex = "[^/]+"
    list_serializer_class: type[BaseSerializer[Any]] | None = None
    write_serializer_class: type[BaseSerializer[Any]] | None = None

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        if self.action == "list" and self.list_serializer_class:
            return self.list_serializer_class
        assert self.serializer_class is not None
        return self.serializer_class

    def get_object(self) -> Any:
        """Return the row of the path: 404 when it is absent or hidden, 403 when seen but not allowed."""
        row = self.get_visible().filter(**self.lookup()).first()
        if row is None:
            raise NotFound("Not found.")
        self.check_object_permissions(self.request, row)
        return row

    def get_visible(self) -> QuerySet[Any]:
        """Return the rows that the caller may know of, without the filters of the list."""
        queryset = self.get_queryset()
        for backend in self.filter_backends:
            if getattr(backend, "hides_rows", False):
                queryset = backend().filter_queryset(self.request, queryset, self)
        return queryset

    def lookup(self) -> dict[str, Any]:
        value = self.kwargs[self.lookup_url_kwarg or self.lookup_field]
        if "\x00" in value:
            raise NotFound("Not found.")
        return {self.lookup_field: row_id(value) if self.lookup_field in ("pk", "id") else value}

    def show(self, row: Any, *, status: int = 200, message: str | None = None) -> Response:
        """Answer a row in its detail shape."""
        assert self.serializer_class is not None
        return answer(
            self.serializer_class(row, context=self.get_serializer_context()).data,
            status=status,
            message=message,
        )

    def list_rows(self, queryset: QuerySet[Any], serializer_class: type[BaseSerializer[Any]]) -> Response:
        """Answer a page of rows that have been filtered already."""
        page = self.paginate_queryset(queryset)
        return self.get_paginated_response(
            serializer_class(page, many=True, context=self.get_serializer_context()).data
        )


class Listed(mixins.ListModelMixin):
    """`GET /things`: filtered, ordered, paged."""


class Shown:
    """`GET /things/{ref}`."""

    def retrieve(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = self.show(self.get_object())
        return response


class Catalogue(Listed, Shown, RowViewSet):
    """Rows that people make and change: list, show, create, change, delete.

    A view overrides `make`, `change` and `remove` with the verbs of its domain; each runs in a transaction.
    """

    parser_classes: list[type[BaseParser]] = [DocumentParser, MergePatchParser]

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = self.writer(data=request.data)
        serializer.is_valid(raise_exception=True)
        with transaction.atomic():
            row = self.make(serializer)
            self.check_object_permissions(request, row)  # the right may be for some packs only: undone if so
        return self.show(row, status=201)

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.get_object()
        body = as_map(request.data)
        return self._change(row, put_changes(body, writable_nulls(self.writer(row))))

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.get_object()
        current = self.writer(row).data
        return self._change(row, patch_changes(as_map(request.data), current))

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.get_object()
        response = deleted(row)
        with transaction.atomic():
            self.remove(row)
        return response

    def make(self, serializer: BaseSerializer[Any]) -> Any:
        return serializer.save()

    def change(self, row: Any, serializer: BaseSerializer[Any]) -> Any:
        return serializer.save()

    def remove(self, row: Any) -> None:
        row.delete()

    def writer(self, row: Any = None, **options: Any) -> Any:
        """Return the serializer of bodies."""
        writer = self.write_serializer_class or self.serializer_class
        assert writer is not None
        return writer(row, context=self.get_serializer_context(), **options)

    def _change(self, row: Any, changes: dict[str, Any]) -> Response:
        serializer = self.writer(row, data=changes, partial=True)
        serializer.is_valid(raise_exception=True)
        with transaction.atomic():
            row = self.change(row, serializer)
        return self.show(row)


def row_id(text: str) -> int:
    """Read an id of a path; what can't be one is an absent row."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > LARGEST:
        raise NotFound("Not found.")
    return int(text)


def as_map(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Unprocessable({"body": ["Expected an object."]})
    return body


def writable_nulls(serializer: Any) -> set[str]:
    return {name for name, field in serializer.fields.items() if field.allow_null and not field.read_only}
