"""The browsable API."""

from rest_framework.renderers import BrowsableAPIRenderer


class BrowsableRenderer(BrowsableAPIRenderer):
    """DRF's pages without a count or a query for forms: bodies are written as raw JSON.

    HTML forms would list every row of each foreign key.
    """

    template = "attune/api.html"

    def show_form_for_method(self, view, method, request, obj):  # type: ignore[no-untyped-def]
        if getattr(view, "swagger_fake_view", False):
            return False
        return super().show_form_for_method(view, method, request, obj)

    def get_filter_form(self, data, view, request):  # type: ignore[no-untyped-def]
        return None
