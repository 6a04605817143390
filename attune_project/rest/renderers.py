"""The browsable API."""

import json
from typing import Any

from rest_framework.renderers import BrowsableAPIRenderer

from attune_project.rest.serializers import Map


class BrowsableRenderer(BrowsableAPIRenderer):
    """DRF's pages without a count or a query for forms: bodies are written as raw JSON.

    HTML forms would list every row of each foreign key.
    """

    template = "attune/api.html"

    def show_form_for_method(self, view, method, request, obj):  # type: ignore[no-untyped-def]
        if getattr(view, "swagger_fake_view", False):
            return False
        return super().show_form_for_method(view, method, request, obj)

    def get_raw_data_form(self, data, view, method, request):  # type: ignore[no-untyped-def]
        """Fill the form with what the view's bodies may say; DRF fills it with what its answers say."""
        form = super().get_raw_data_form(data, view, method, request)
        if form is not None and hasattr(view, "writer"):
            shown = data.get("data") if isinstance(data, dict) and method != "POST" else None
            form.fields["_content"].initial = json.dumps(example(view.writer().fields, shown), indent=4)
        return form

    def get_filter_form(self, data, view, request):  # type: ignore[no-untyped-def]
        return None


def example(fields: Any, shown: Any) -> dict[str, Any]:
    """Return a row's own values, or of a row to be made what it needs and its maps."""
    writable = {name: field for name, field in fields.items() if not field.read_only}
    if isinstance(shown, dict):
        return {name: shown[name] for name in writable if name in shown}
    return {
        name: {} if isinstance(field, Map) else field.get_initial()
        for name, field in writable.items()
        if field.required or isinstance(field, Map)
    }
