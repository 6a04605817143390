"""A body that is a file, and nothing around it."""

from collections.abc import Mapping
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser

from attune_project.rest.errors import PayloadTooLarge

MIB = 1024 * 1024
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


class FileParser(BaseParser):
    """Keep a body of any media type on disk; a form is refused: its file is not what the client sent."""

    media_type = "*/*"

    def parse(  # type: ignore[override]  # DRF takes whatever it returns for the data
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> IO[bytes]:
        if (media_type or "").partition(";")[0].strip().lower() in FORMS:
            raise UnsupportedMediaType(
                media_type or "", "The body is the file itself; a form goes to versions/upload."
            )
        file = TemporaryFile()  # noqa: SIM115 (the view reads it)
        left = settings.ATTUNE_ARTIFACT_MAX_MB * MIB
        while piece := stream.read(MIB):
            left -= len(piece)
            if left < 0:
                file.close()
                raise PayloadTooLarge(f"The content is larger than {settings.ATTUNE_ARTIFACT_MAX_MB} MiB.")
            file.write(piece)
        return file


def opened(data: Any) -> IO[bytes]:
    """Return the file of a parsed body, at its beginning; that of a request without a body is empty."""
    if not hasattr(data, "seek"):
        return BytesIO()
    data.seek(0)
    file: IO[bytes] = data
    return file
