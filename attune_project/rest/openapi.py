"""The OpenAPI document and the page that shows it, open to everybody."""

from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView

from .access import OPEN


class OpenApiDocument(SpectacularJSONAPIView):  # type: ignore[misc]
    permission = OPEN


class Documentation(SpectacularSwaggerView):  # type: ignore[misc]
    permission = OPEN
