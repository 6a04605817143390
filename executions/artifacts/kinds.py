"""What a file is, by its name and its first bytes. Pure: no database, no Django."""

import codecs
import mimetypes
import re

BINARY = "application/octet-stream"
TEXT = "text/plain"
HEAD = 4096  # bytes that `kind_of` wants to see

# The host's own tables differ from host to host.
_TYPES = mimetypes.MimeTypes(filenames=())
for _suffix, _type in {
    ".csv": "text/csv",
    ".jsonl": "application/x-ndjson",
    ".log": TEXT,
    ".md": "text/markdown",
    ".ndjson": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".tsv": "text/tab-separated-values",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}.items():
    _TYPES.add_type(_type, _suffix)

_TABLES = {
    "text/csv",
    "text/tab-separated-values",
    "application/json",
    "application/x-ndjson",
    "application/vnd.apache.parquet",
}
_MAGIC = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"BM.{4}\0{4}", re.DOTALL), "image/bmp"),
    (re.compile(rb"II\*\0|MM\0\*"), "image/tiff"),
    (re.compile(rb"%PDF-"), "application/pdf"),
    (re.compile(rb"PK\x03\x04"), "application/zip"),
    (re.compile(rb"\x1f\x8b"), "application/gzip"),
)
_TEXTUAL = re.compile(r"text/.*|application/(json|x-ndjson|yaml|xml|javascript|x-sh|toml)|.*\+(xml|json)")


def kind_of(name: str, head: bytes) -> tuple[str, str]:
    """Return the content type and the artifact type of a file by its name and first bytes.

    What the bytes say wins over what the name says: a picture is one, and text is text.
    """
    content_type = _content_type(name, head)
    return content_type, artifact_type(content_type)


def artifact_type(content_type: str) -> str:
    """Return file_datatable, file_image, file_text or file_binary."""
    plain = content_type.partition(";")[0].strip().lower()
    if plain in _TABLES:
        return "file_datatable"
    if plain.startswith("image/"):
        return "file_image"
    return "file_text" if _TEXTUAL.fullmatch(plain) else "file_binary"


def _content_type(name: str, head: bytes) -> str:
    magic = next((found for pattern, found in _MAGIC if pattern.match(head)), None)
    guessed, encoding = _TYPES.guess_type(name.rpartition("/")[2], strict=False)
    named = None if encoding else guessed
    if magic is not None:
        refined = magic == "application/zip" and named is not None and artifact_type(named) == "file_binary"
        return named if refined and named is not None else magic
    if named is None or _contradicts(named, head):
        return TEXT if _is_text(head) else BINARY
    return named


def _contradicts(named: str, head: bytes) -> bool:
    """Tell a name that the bytes don't bear out: `x.png` without a picture, `x.csv` that is no text."""
    if named == "image/svg+xml" or _TEXTUAL.fullmatch(named):
        return not _is_text(head)
    return named.startswith("image/")


def _is_text(head: bytes) -> bool:
    """Tell whether bytes are the beginning of UTF-8 text; the last code point may be cut."""
    if b"\x00" in head:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
