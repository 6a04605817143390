"""Artifacts over HTTP: what they are, their versions, their contents."""

import os
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from attune_project.identity.models import Identity
from attune_project.identity.rbac import require, visible, visible_or_404
from attune_project.rest.access import AUTHENTICATED
from attune_project.rest.errors import BadRequest, PayloadTooLarge, Unprocessable
from attune_project.rest.filters import Choices, Ids, RowFilters, Texts
from attune_project.rest.views import Catalogue, Listed, RowViewSet, answer, deleted, row_id
from executions.api.artifact_content import download, json_file
from executions.api.artifact_shapes import (
    LISTED,
    ArtifactBody,
    ArtifactDetail,
    ArtifactItem,
    DataBody,
    EntryBody,
    UploadBody,
    VersionBody,
    VersionDetail,
    VersionItem,
    as_content_type,
    fitting,
)
from executions.api.file_body import FileParser, opened
from executions.artifacts import kinds, retention, versions
from executions.models import Artifact, ArtifactVersion, Execution
from executions.models.artifact import ArtifactType, Scope, Visibility

MIB = 1024 * 1024
MOST_ENTRIES = 10_000
UNKNOWN = "application/octet-stream"
FILE_BODY = {UNKNOWN: OpenApiTypes.BINARY}
NAME = OpenApiParameter("name", str, description="Of the file; by its end it is told what it is.")
FILE = {(200, "application/octet-stream"): OpenApiTypes.BINARY}
NUMBER = "versions/(?P<number>latest|[0-9]{1,9})"
WITHOUT_VERSIONS = (ArtifactType.PROGRESS, ArtifactType.URL)


class ArtifactFilters(RowFilters):
    ref = Texts("ref")
    scope = Choices("scope", choices=Scope.choices)
    owner = Texts("owner")
    type = Choices("type", choices=ArtifactType.choices)
    visibility = Choices("visibility", choices=Visibility.choices)
    execution = Ids("execution_id")
    name = Texts("name")

    class Meta:
        model = Artifact
        fields: list[str] = []


class ArtifactLists(RowViewSet):
    """What every list of artifacts shares."""

    queryset = Artifact.objects.all()
    resource = "artifacts"
    serializer_class = ArtifactDetail
    list_serializer_class = ArtifactItem
    filterset_class = ArtifactFilters
    ordering_fields = ("created", "id", "updated", "ref", "name", "type", "size_bytes")

    def get_queryset(self) -> QuerySet[Artifact]:
        rows: QuerySet[Artifact] = super().get_queryset()
        return rows.only(*LISTED) if self.action == "list" else rows


class ArtifactViews(Catalogue, ArtifactLists):
    write_serializer_class = ArtifactBody
    lookup_value_regex = "[0-9]+"
    permission_map = {
        "by_ref": "read", "data": "read", "set_data": "update", "append": "update", "versions": "read",
        "add_version": "update", "upload": "update", "add_file": "update", "version": "read",
        "remove_version": "delete", "download_version": "read", "download": "read",
    }  # fmt: skip

    def make(self, serializer: Any) -> Artifact:
        caller = self.caller
        values = {"owner_identity": caller, **serializer.validated_data}
        if caller.run is not None:
            values.setdefault("execution_id", caller.run.execution_id)
        if values["type"] == ArtifactType.PROGRESS:
            values.setdefault("data", [])
        artifact = Artifact(**values)
        require(caller, "artifacts", "create", artifact)
        artifact.save(force_insert=True)
        versions.write(artifact)
        return artifact

    def change(self, row: Artifact, serializer: Any) -> Artifact:
        values = serializer.validated_data

        def apply(artifact: Artifact) -> None:
            for name, value in values.items():
                setattr(artifact, name, value)
            require(self.caller, "artifacts", "update", artifact)  # where it goes, too

        return self._changed(row, apply)

    def remove(self, row: Artifact) -> None:
        retention.delete_artifacts([self._locked(row).pk])

    @property
    def caller(self) -> Identity:
        assert isinstance(self.request.user, Identity)
        return self.request.user

    def _locked(self, row: Artifact) -> Artifact:
        current = versions.locked(row.pk)
        if current is None:
            raise NotFound("Not found.")
        return current

    def _changed(self, row: Artifact, apply: Callable[[Artifact], None]) -> Artifact:
        with transaction.atomic():
            current = self._locked(row)
            apply(current)
            versions.write(current)
        return current

    @extend_schema(responses=ArtifactDetail, filters=False)
    @action(detail=False, url_path="ref/(?P<ref>[^/]+)", pagination_class=None)
    def by_ref(self, request: Request, ref: str) -> Response:
        row = None if "\x00" in ref else self.get_visible().filter(ref=ref).first()
        if row is None:
            raise NotFound("Not found.")
        return self.show(row)

    @extend_schema(responses=OpenApiTypes.ANY)
    @action(detail=True)
    def data(self, request: Request, pk: str) -> Response:
        return answer(self.get_object().data)

    @extend_schema(request=DataBody, responses=ArtifactDetail)
    @data.mapping.put
    def set_data(self, request: Request, pk: str) -> Response:
        row = self.get_object()
        given = self._body(DataBody)["data"]

        def apply(artifact: Artifact) -> None:
            artifact.data = fitting(artifact.type, given, "data")

        return self.show(self._changed(row, apply))

    @extend_schema(request=EntryBody, responses=ArtifactDetail)
    @action(methods=["post"], detail=True, url_path="progress")
    def append(self, request: Request, pk: str) -> Response:
        row = self.get_object()
        if row.type != ArtifactType.PROGRESS:
            raise BadRequest(f"Entries are appended to artifacts of type progress; this is a {row.type}.")
        entry = self._body(EntryBody)["entry"]

        def apply(artifact: Artifact) -> None:
            artifact.data = [*(artifact.data or []), entry]
            if len(artifact.data) > MOST_ENTRIES:
                raise Unprocessable({"entry": [f"A list of progress has at most {MOST_ENTRIES} entries."]})

        return self.show(self._changed(row, apply))

    @extend_schema(responses=VersionItem(many=True), filters=False)
    @action(detail=True, filterset_class=RowFilters)
    def versions(self, request: Request, pk: str) -> Response:
        row = self.get_object()
        return self.list_rows(row.versions.order_by("-version"), VersionItem)

    @extend_schema(request=VersionBody, responses={201: VersionDetail})
    @versions.mapping.post
    def add_version(self, request: Request, pk: str) -> Response:
        row = self.get_object()
        body = self._body(VersionBody)
        content_type = body.get("content_type") or "application/json"
        content = json_file(body["content"], content_type)
        return self._appended(row, BytesIO(content), len(content), content_type, body.get("meta"))

    @extend_schema(request=UploadBody, responses={201: VersionDetail})
    @action(methods=["post"], detail=True, url_path="versions/upload", parser_classes=[MultiPartParser])
    def upload(self, request: Request, pk: str) -> Response:
        row = self.get_object()
        body = self._body(UploadBody)
        file = body["file"]
        head = file.read(kinds.HEAD)
        file.seek(0)
        content_type = body.get("content_type") or kinds.kind_of(file.name, head)[0]
        return self._appended(row, file.file, file.size, content_type, body.get("meta"))

    def _appended(
        self, row: Artifact, file: IO[bytes], size: int, content_type: str, meta: dict[str, Any] | None
    ) -> Response:
        if row.type in WITHOUT_VERSIONS:
            raise BadRequest(f"An artifact of type {row.type} has data, and no versions.")
        if size > settings.ATTUNE_ARTIFACT_MAX_MB * MIB:
            raise PayloadTooLarge(f"The content is larger than {settings.ATTUNE_ARTIFACT_MAX_MB} MiB.")
        run = self.caller.run
        with transaction.atomic():
            version = versions.append(
                self._locked(row),
                file,
                size,
                content_type,
                meta=meta or {},
                created_by=self.caller.login,
                execution_id=run.execution_id if run else None,
            )
        return answer(VersionDetail(version).data, status=201)

    @extend_schema(request=FILE_BODY, parameters=[NAME], responses={201: VersionDetail})
    @action(methods=["post"], detail=True, url_path="versions/file", parser_classes=[FileParser])
    def add_file(self, request: Request, pk: str) -> Response:
        """The body is the file. Where its Content-Type says nothing, name and content tell what it is."""
        row = self.get_object()
        with closing(opened(request.data)) as file:
            head = file.read(kinds.HEAD)
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            given = request.content_type or ""
            name = request.query_params.get("name") or row.name or row.ref
            content_type = kinds.kind_of(name, head)[0] if given in ("", UNKNOWN) else as_content_type(given)
            return self._appended(row, file, size, content_type, None)

    @extend_schema(responses=VersionDetail, filters=False)
    @action(detail=True, url_path=NUMBER, pagination_class=None)
    def version(self, request: Request, pk: str, number: str) -> Response:
        return answer(VersionDetail(self._version(self.get_object(), number)).data)

    @extend_schema(responses=None)
    @version.mapping.delete
    def remove_version(self, request: Request, pk: str, number: str) -> Response:
        with transaction.atomic():
            version = self._version(self._locked(self.get_object()), number)
            retention.delete_versions([version.pk])
        return deleted(version)

    @extend_schema(responses=FILE, filters=False)
    @action(detail=True, url_path=f"{NUMBER}/download", pagination_class=None)
    def download_version(self, request: Request, pk: str, number: str) -> HttpResponseBase:
        row = self.get_object()
        return download(request, row, self._version(row, number))

    @extend_schema(responses=FILE, filters=False)
    @action(detail=True, pagination_class=None)
    def download(self, request: Request, pk: str) -> HttpResponseBase:
        """The newest version; the data as JSON of an artifact that has data and no versions."""
        row = self.get_object()
        version = row.versions.order_by("-version").first()
        if version is None and row.data is None:
            raise NotFound("There is no version yet.")
        return download(request, row, version)

    def _version(self, row: Artifact, number: str) -> ArtifactVersion:
        rows = row.versions.order_by("-version")
        version = (rows if number == "latest" else rows.filter(version=row_id(number))).first()
        if version is None:
            raise NotFound("Not found.")
        return version

    def _body(self, kind: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        body = kind(data=self.request.data)
        body.is_valid(raise_exception=True)
        values: dict[str, Any] = body.validated_data
        return values


class ArtifactsOfExecution(Listed, ArtifactLists):
    """`GET /executions/{id}/artifacts`: needs executions:read, and lists what artifacts:read shows."""

    permission = AUTHENTICATED

    def get_queryset(self) -> QuerySet[Artifact]:
        rows = super().get_queryset().filter(execution_id=row_id(self.kwargs["pk"]))
        return visible(self.request.user, "artifacts", rows)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        require(request.user, "executions", "read")
        visible_or_404(request.user, "executions", Execution.objects.all(), pk=row_id(self.kwargs["pk"]))
        return super().list(request, *args, **kwargs)
