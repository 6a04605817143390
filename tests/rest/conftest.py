"""A small API on the pack table, to try what every view stands on."""

import pytest
from django.urls import include, path

from attune_project import urls as product
from attune_project.packs.models import Pack
from attune_project.rest.filters import Flag, Overlaps, RowFilters, Search, Texts
from attune_project.rest.router import Router
from attune_project.rest.serializers import Map, RowSerializer
from attune_project.rest.views import Catalogue, View

handler400 = product.handler400
handler403 = product.handler403
handler404 = product.handler404
handler500 = product.handler500


class PackFilters(RowFilters):
    ref = Texts("ref")
    tags = Overlaps("tags")
    is_standard = Flag("is_standard")
    search = Search(columns=("ref", "label"))


class TriedDetail(RowSerializer):
    class Meta:
        model = Pack
        fields = (
            "id",
            "ref",
            "label",
            "description",
            "version",
            "config",
            "tags",
            "owner",
            "created",
            "updated",
        )


class TriedItem(RowSerializer):
    class Meta:
        model = Pack
        fields = ("id", "ref", "label")


class TriedBody(RowSerializer):
    config = Map(required=False)

    class Meta:
        model = Pack
        fields = ("ref", "label", "description", "version", "config", "tags")


class PackViews(Catalogue):
    queryset = Pack.objects.all()
    resource = "packs"
    permission_map = {"update": "configure", "partial_update": "configure"}
    lookup_field = "ref"
    serializer_class = TriedDetail
    list_serializer_class = TriedItem
    write_serializer_class = TriedBody
    filterset_class = PackFilters
    ordering_fields = ("ref", "created")


class PackById(PackViews):
    lookup_field = "id"


class Broken(View):
    resource = "packs"
    permission_map = {"get": "read"}
    schema = None

    def get(self, request: object) -> None:
        raise RuntimeError("the insides of the server")


class Undeclared(View):
    schema = None

    def get(self, request: object) -> None:
        raise AssertionError("nobody may come here")


router = Router()
router.register("try/packs", PackViews, basename="try-pack")
router.register("try/numbers", PackById, basename="try-number")
urlpatterns = [
    path("api/v1/", include(router.urls)),
    path("api/v1/try/broken", Broken.as_view()),
    path("api/v1/try/undeclared", Undeclared.as_view()),
    *product.urlpatterns,
]


@pytest.fixture(autouse=True)
def _try_routes(settings):
    settings.ROOT_URLCONF = "tests.rest.conftest"


@pytest.fixture
def make_pack(db):
    def make(ref="demo", **values):
        return Pack.objects.create(ref=ref, **{"label": ref.title(), "version": "1.0.0", **values})

    return make


@pytest.fixture
def packs(make_pack):
    return [make_pack(f"pack{number}") for number in range(5)]
