"""Routes of packs, runtimes and workers."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from attune_project.identity.models import Identity
from attune_project.rest.errors import BadRequest, Conflict, Unprocessable
from attune_project.rest.views import Catalogue, Listed, RowViewSet, Shown, View, answer

from . import installing, workers
from .contents import OfPack
from .filters import PackFilters, RuntimeFilters, WorkerFilters
from .loader import Report
from .models import Pack, Runtime, Worker
from .removal import NotRemovable, delete_pack
from .serializers import (
    Cordon,
    Installed,
    PackBody,
    PackDetail,
    PackItem,
    Registration,
    RuntimeShape,
    Upload,
    WorkerShape,
)
from .worker_state import with_load, with_state


class PackViews(Catalogue):
    queryset = Pack.objects.all()
    resource = "packs"
    permission_map = {"update": "configure", "partial_update": "configure"}
    lookup_field = "ref"
    serializer_class = PackDetail
    list_serializer_class = PackItem
    write_serializer_class = PackBody
    filterset_class = PackFilters
    ordering = ("-is_standard", "-created", "-id")
    ordering_fields = ("ref", "label", "version", "is_standard", "created", "updated", "id")

    def make(self, serializer: BaseSerializer[Any]) -> Any:
        return serializer.save(owner=self.request.user)

    def remove(self, row: Pack) -> None:
        try:
            delete_pack(row, by=caller(self.request))
        except NotRemovable as error:
            raise Conflict(str(error)) from None


class UploadView(View):
    """A pack as tar.gz in the part `pack`."""

    resource = "packs"
    permission_map = {"post": "install"}
    parser_classes = [MultiPartParser]

    @extend_schema(request=Upload, responses={201: Installed}, operation_id="packs_upload")
    def post(self, request: Request) -> Response:
        body = Upload(data=request.data)
        body.is_valid(raise_exception=True)
        values: dict[str, Any] = body.validated_data
        try:
            report = installing.install_archive(
                values["pack"].file, by=caller(request), force=values["force"]
            )
        except installing.ArchiveError as error:
            raise BadRequest(f"pack: {error}") from None
        except installing.PackError as error:
            raise BadRequest(str(error)) from None
        except installing.PackExists as error:
            raise Conflict(str(error)) from None
        return installed(report)


class RegisterView(View):
    """A pack that lies in the packs folder already."""

    resource = "packs"
    permission_map = {"post": "install"}

    @extend_schema(request=Registration, responses={201: Installed}, operation_id="packs_register")
    def post(self, request: Request) -> Response:
        body = Registration(data=request.data)
        body.is_valid(raise_exception=True)
        values: dict[str, Any] = body.validated_data
        try:
            report = installing.register_folder(values["path"], by=caller(request), force=values["force"])
        except installing.OutsidePacks as error:
            raise Unprocessable({"path": [str(error)]}) from None
        except installing.PackError as error:
            raise BadRequest(str(error)) from None
        except installing.PackExists as error:
            raise Conflict(str(error)) from None
        return installed(report)


class RuntimeViews(Listed, Shown, RowViewSet):
    queryset = Runtime.objects.select_related("pack")
    resource = "runtimes"
    lookup_field = "ref"
    serializer_class = RuntimeShape
    filterset_class = RuntimeFilters
    ordering_fields = ("ref", "name", "created", "updated", "id")


class PackRuntimes(OfPack, Listed, RowViewSet):
    """`GET /packs/{ref}/runtimes`."""

    queryset = RuntimeViews.queryset
    resource = "runtimes"
    serializer_class = RuntimeShape
    filterset_class = RuntimeFilters
    ordering_fields = RuntimeViews.ordering_fields


class WorkerViews(Listed, Shown, RowViewSet):
    queryset = Worker.objects.all()
    resource = "workers"
    permission_map = {"cordon": "manage", "uncordon": "manage"}
    lookup_field = "id"
    serializer_class = WorkerShape
    filterset_class = WorkerFilters
    ordering_fields = ("name", "status", "last_heartbeat", "created", "updated", "id")

    def get_queryset(self) -> QuerySet[Any]:
        return with_state(super().get_queryset())

    def paginate_queryset(self, queryset: QuerySet[Any] | Sequence[Any]) -> list[Any] | None:
        return with_load(super().paginate_queryset(queryset) or [])

    def get_object(self) -> Any:
        return with_load([super().get_object()])[0]

    @extend_schema(request=Cordon, responses=WorkerShape)
    @action(methods=["post"], detail=True)
    def cordon(self, request: Request, id: str) -> Response:
        worker = self.get_object()
        body = Cordon(data=request.data)
        body.is_valid(raise_exception=True)
        workers.cordon(worker, by=caller(request), reason=body.validated_data.get("reason"))
        return self._bare()

    @extend_schema(request=None, responses=WorkerShape)
    @action(methods=["post"], detail=True)
    def uncordon(self, request: Request, id: str) -> Response:
        workers.uncordon(self.get_object())
        return self._bare()

    def _bare(self) -> Response:
        return Response(WorkerShape(self.get_object()).data)


def installed(report: Report) -> Response:
    """Answer what was loaded. Tests of packs aren't built yet, so none has run."""
    shape = Installed(
        {
            "pack": Pack.objects.get(ref=report.pack_ref),
            "test_result": None,
            "tests_skipped": True,
            "warnings": report.warnings,
        }
    )
    return answer(shape.data, status=201)


def caller(request: Request) -> Identity:
    """Return who asks: these routes are never open."""
    assert isinstance(request.user, Identity)
    return request.user
