"""Which request may have a longer body than all others: an upload with a token of ours."""

import re
from collections.abc import MutableMapping
from typing import Any

from django.conf import settings

from attune_project.identity.tokens import is_ours

UPLOAD = re.compile(r"/api/v1/artifacts/[0-9]+/versions/(upload|file)")
MIB = 1024 * 1024
AROUND = 64 * 1024  # bytes of a multipart body beside the file


def upload_limit(scope: MutableMapping[str, Any]) -> int:
    """Return the bytes that a request may send: none for whoever we gave no token.

    The body is kept on disk before a view is asked, so strangers must not be able to send much.
    """
    if not UPLOAD.fullmatch(scope["path"]):
        return 0
    for name, value in scope["headers"]:
        scheme, _, token = value.decode("latin-1").partition(" ")
        if name == b"authorization" and scheme.lower() == "bearer" and is_ours(token.strip()):
            return int(settings.ATTUNE_ARTIFACT_MAX_MB) * MIB + AROUND
    return 0
