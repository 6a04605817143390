"""A page of the admin that asks before it does something."""

import json
from typing import Any

from django import forms
from django.contrib.admin.options import ModelAdmin
from django.db.models import Model
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget

from attune_project.language.documents import DocumentError, parse_json


class JsonField(forms.CharField):
    """A JSON value, read as strictly as in a body; nothing is an empty map."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=UnfoldAdminTextareaWidget(attrs={"rows": 10}), **options)

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return parse_json(text.encode(errors="surrogatepass")) if text else {}
        except DocumentError as problem:
            raise forms.ValidationError(str(problem)) from None


class JsonMapField(JsonField):
    def clean(self, value: Any) -> Any:
        document = super().clean(value)
        if not isinstance(document, dict):
            raise forms.ValidationError("Expected a JSON object.")
        return document


def page_of(model: type[Model], pk: Any) -> str:
    """Return the address of a row's page."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])


def list_link(model: type[Model], text: str, **filters: Any) -> SafeString:
    """Link to a model's list with these filters."""
    path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return address_link(f"{path}?{urlencode(filters)}", text)


def address_link(address: str, text: Any) -> SafeString:
    return format_html('<a class="text-primary-600" href="{}">{}</a>', address, text)


def ask(
    page: "ModelAdmin[Any]", request: HttpRequest, *, title: str, text: str, form: forms.Form, button: str
) -> TemplateResponse:
    """Show a form with what it is about to do; its post comes back to the same address."""
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": title,
        "text": text,
        "form": form,
        "button": button,
    }
    return TemplateResponse(request, "admin/ask.html", context)
