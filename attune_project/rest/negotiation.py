"""Which form an answer takes."""

from collections.abc import Iterable
from typing import Any

from django.http import Http404
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from .errors import BadRequest


class JsonFirst(DefaultContentNegotiation):
    """JSON for whoever asks for nothing that we have: 406 would come before 401 and says less."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        try:
            chosen: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
            return chosen
        except NotAcceptable:
            first = next(iter(renderers))
            return first, str(first.media_type)

    def filter_renderers(self, renderers: Iterable[BaseRenderer], format: str) -> Any:
        try:
            return super().filter_renderers(renderers, format)
        except Http404:
            known = ", ".join(str(renderer.format) for renderer in renderers)
            raise BadRequest(f"format: {format!r} isn't one of {known}") from None
