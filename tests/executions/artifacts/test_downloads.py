"""Downloads: whole, in part, and never as a page of ours."""

import asyncio
import os

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import given, settings
from hypothesis import strategies as st

from executions.api.artifact_content import Pieces, Vanished, file_name, read, span_of
from executions.artifacts.content import PIECE
from executions.models import Artifact, ArtifactChunk

URL = "/api/v1/artifacts"


@pytest.fixture
def stored(api):
    """Store a content as the newest version of an artifact; return its path."""

    def store(content, file_name="a.bin", **values):
        row = Artifact.objects.create(ref=f"a{Artifact.objects.count()}", type="file_binary", **values)
        path = f"{URL}/{row.pk}"
        file = SimpleUploadedFile(file_name, content)
        answer = api.post(f"{path}/versions/upload", {"file": file}, format="multipart")
        assert answer.status_code == 201
        return path

    return store


def content_of(answer):
    return b"".join(answer.streaming_content)


@pytest.mark.django_db
@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5])
def test_a_content_comes_back_as_it_was(api, stored, size):
    content = os.urandom(size)
    path = stored(content)

    for route in ("download", "versions/1/download", "versions/latest/download"):
        answer = api.get(f"{path}/{route}")
        assert answer.status_code == 200
        assert content_of(answer) == content
        assert answer["Content-Length"] == str(size)


@pytest.mark.django_db
def test_no_content_is_shown_by_our_origin(api, stored):
    path = stored(b"<script>alert(1)</script>", "page.html", name="out/page.html")

    answer = api.get(f"{path}/download", HTTP_ACCEPT="text/html")

    assert answer["Content-Disposition"] == 'attachment; filename="page.html"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert answer["Content-Type"] == "text/html"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("asked", "status", "span"),
    [
        ("bytes=0-9", 206, (0, 10)),
        ("bytes=5-", 206, (5, 100)),
        ("bytes=-10", 206, (90, 100)),
        ("bytes=-1000", 200, (0, 100)),
        ("bytes=90-1000", 206, (90, 100)),
        ("bytes=0-", 200, (0, 100)),
        ("bytes=9-5", 200, (0, 100)),
        ("bytes=0-1,4-5", 200, (0, 100)),
        ("lines=1-2", 200, (0, 100)),
        ("bytes=-", 200, (0, 100)),
    ],
)
def test_a_part_is_answered(api, stored, asked, status, span):
    content = bytes(range(100))
    path = stored(content)

    answer = api.get(f"{path}/download", HTTP_RANGE=asked)

    assert answer.status_code == status
    assert content_of(answer) == content[slice(*span)]
    if status == 206:
        assert answer["Content-Range"] == f"bytes {span[0]}-{span[1] - 1}/100"
    else:
        assert "Content-Range" not in answer


@pytest.mark.django_db
@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=-0"])
def test_a_part_that_is_not_there_is_416(api, stored, asked):
    path = stored(bytes(100))

    answer = api.get(f"{path}/download", HTTP_RANGE=asked)

    assert (answer.status_code, answer["Content-Range"]) == (416, "bytes */100")


@pytest.mark.django_db
def test_a_part_over_the_border_of_pieces(api, stored):
    content = os.urandom(2 * PIECE + 100)
    path = stored(content)

    answer = api.get(f"{path}/download", HTTP_RANGE=f"bytes={PIECE - 3}-{2 * PIECE + 2}")

    assert content_of(answer) == content[PIECE - 3 : 2 * PIECE + 3]


@pytest.mark.django_db
def test_a_part_of_another_version_is_the_whole(api, stored):
    path = stored(bytes(100))
    etag = api.get(f"{path}/download")["ETag"]

    assert api.get(f"{path}/download", HTTP_RANGE="bytes=0-9", HTTP_IF_RANGE='"old"').status_code == 200
    assert api.get(f"{path}/download", HTTP_RANGE="bytes=0-9", HTTP_IF_RANGE=etag).status_code == 206


@pytest.mark.django_db
def test_a_value_without_versions_is_a_json_file(api):
    row = Artifact.objects.create(ref="a.value", type="other", data={"n": 1})
    empty = Artifact.objects.create(ref="a.file", type="file_text")

    answer = api.get(f"{URL}/{row.pk}/download")

    assert answer.json() == {"n": 1}
    assert answer["Content-Disposition"] == 'attachment; filename="a.value.json"'
    assert api.get(f"{URL}/{empty.pk}/download").status_code == 404


@pytest.mark.django_db
def test_what_is_deleted_meanwhile_breaks_off(api, stored):
    path = stored(os.urandom(2 * PIECE))
    answer = api.get(f"{path}/download")
    pieces = iter(answer.streaming_content)
    next(pieces)
    ArtifactChunk.objects.all().delete()

    with pytest.raises(Vanished):
        next(pieces)


@pytest.mark.django_db
def test_only_a_piece_is_held_at_a_time(api, stored, django_assert_num_queries):
    path = stored(os.urandom(3 * PIECE))
    answer = api.get(f"{path}/download")

    with django_assert_num_queries(1):
        assert len(next(iter(answer.streaming_content))) == PIECE


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("out/report.csv", "report.csv"),
        ("..", "a.ref"),
        ("a/..", "artifact"),
        ('q"uote\r\nX: y', "q_uote__X_ y"),
        ("é.txt", "é.txt"),
        (None, "a.ref"),
        ("x" * 300, "x" * 200),
        ("C:\\windows\\x", "C__windows_x"),
    ],
)
def test_names_of_files_are_safe(name, shown):
    found = file_name(Artifact(name=name, ref="a.ref"))

    assert found == shown or (name == ".." and found == "artifact")


@settings(deadline=None)
@given(st.integers(0, 50), st.from_regex(r"bytes=\d{0,2}-\d{0,2}", fullmatch=True))
def test_a_span_is_always_within(size, asked):
    span = span_of(asked, None, size, "e")

    assert span is None or 0 <= span[0] <= span[1] <= size
    assert span is None or span == (0, size) or span[0] < span[1]


def test_an_asgi_server_gets_piece_by_piece(monkeypatch):
    asked = []

    def pieces():
        for n in range(3):
            asked.append(n)
            yield bytes([n])

    async def first():
        response = Pieces(pieces())
        body = aiter(response)
        found = [await anext(body)]
        assert asked == [0]
        return found + [piece async for piece in body]

    assert asyncio.run(first()) == [b"\x00", b"\x01", b"\x02"]


@pytest.mark.django_db
def test_an_absent_version_gives_nothing_but_its_end():
    with pytest.raises(Vanished):
        list(read(0, 0, 1))
    assert list(read(0, 0, 0)) == []
