"""What a file is, by its name and its first bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executions.artifacts.kinds import kind_of
from executions.models.artifact import ArtifactType

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.mark.parametrize(
    ("name", "head", "content_type", "kind"),
    [
        ("a.txt", b"hello", "text/plain", "file_text"),
        ("notes.md", b"# hello", "text/markdown", "file_text"),
        ("LICENSE", b"hello", "text/plain", "file_text"),
        ("empty", b"", "text/plain", "file_text"),
        ("cut", "é".encode()[:1], "text/plain", "file_text"),
        ("t.csv", b"a,b\n1,2\n", "text/csv", "file_datatable"),
        ("t.tsv", b"a\tb\n", "text/tab-separated-values", "file_datatable"),
        ("t.json", b"[]", "application/json", "file_datatable"),
        ("t.jsonl", b"{}\n{}\n", "application/x-ndjson", "file_datatable"),
        ("t.csv", b"\x00\x01", "application/octet-stream", "file_binary"),
        ("p.png", PNG, "image/png", "file_image"),
        ("picture", PNG, "image/png", "file_image"),
        ("p.png", b"<script>", "text/plain", "file_text"),
        ("p.jpg", b"\x00\x01", "application/octet-stream", "file_binary"),
        ("p.svg", b"<svg/>", "image/svg+xml", "file_image"),
        ("page.html", b"<html>", "text/html", "file_text"),
        ("d.pdf", b"%PDF-1.7", "application/pdf", "file_binary"),
        ("d.zip", b"PK\x03\x04", "application/zip", "file_binary"),
        ("x.docx", b"PK\x03\x04", None, "file_binary"),
        ("logs.tar.gz", b"\x1f\x8b\x08", "application/gzip", "file_binary"),
        ("logs.txt.gz", b"hello", "text/plain", "file_text"),
        ("core", b"\x7fELF\x00", "application/octet-stream", "file_binary"),
    ],
)
def test_kinds(name, head, content_type, kind):
    found = kind_of(f"out/{name}", head)

    assert found[1] == kind
    assert content_type in (None, found[0])


@settings(deadline=None)
@given(st.text(), st.binary())
def test_every_file_is_of_a_known_type(name, head):
    content_type, kind = kind_of(name, head)

    assert kind in ArtifactType.values
    assert content_type.isascii()
