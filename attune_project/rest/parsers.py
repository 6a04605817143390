"""Strict JSON bodies."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from attune_project.language.documents import DocumentError, parse_json

from .errors import PayloadTooLarge


class DocumentParser(BaseParser):
    """Read JSON that PostgreSQL can store; anything else is 400, 413 or 422."""

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return document(body_of(stream))


class MergePatchParser(DocumentParser):
    media_type = "application/merge-patch+json"


def body_of(stream: IO[bytes]) -> bytes:
    """Read no more than the limit, whatever the length that was announced."""
    maximum = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    try:
        raw = stream.read(maximum + 1)
    except RequestDataTooBig:
        raise PayloadTooLarge from None
    if len(raw) > maximum:
        raise PayloadTooLarge
    return raw


def document(raw: bytes) -> Any:
    """Return the value of a JSON text; refuse with 422 what no jsonb holds, with 400 what isn't JSON."""
    try:
        return parse_json(raw)
    except DocumentError as error:
        if error.malformed:
            raise ParseError(str(error)) from None
        raise ValidationError({error.path or "body": [error.message]}) from None
