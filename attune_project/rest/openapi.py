"""The OpenAPI document and the page that shows it, open to everybody."""

from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerView

from .access import OPEN


class OpenApiDocument(SpectacularJSONAPIView):
    permission = OPEN


class Documentation(SpectacularSwaggerView):
    permission = OPEN
