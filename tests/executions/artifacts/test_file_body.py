"""`POST /artifacts/{id}/versions/file`: the body is the file."""

import pytest

from executions.models import Artifact, ArtifactVersion

pytestmark = pytest.mark.django_db


@pytest.fixture
def url():
    row = Artifact.objects.create(ref="report", type="file_text")
    return f"/api/v1/artifacts/{row.pk}"


@pytest.mark.parametrize(
    ("header", "query", "content_type"),
    [
        ("text/csv", "", "text/csv"),
        ("text/plain; charset=latin-1", "", "text/plain; charset=latin-1"),
        ("application/json", "", "application/json"),
        ("application/octet-stream", "?name=cities.csv", "text/csv"),
    ],
)
def test_a_body_becomes_the_next_version_as_it_is(api, url, header, query, content_type):
    content = b"city,people\nUlm,128000\n"

    answer = api.generic("POST", f"{url}/versions/file{query}", content, content_type=header)

    assert answer.status_code == 201, answer.json()
    version = answer.json()["data"]
    assert (version["version"], version["size_bytes"]) == (1, len(content))
    assert version["content_type"] == content_type
    assert b"".join(api.get(f"{url}/download").streaming_content) == content


def test_an_empty_body_is_an_empty_file(api, url):
    answer = api.generic("POST", f"{url}/versions/file", b"", content_type="text/plain")

    assert (answer.status_code, answer.json()["data"]["size_bytes"]) == (201, 0)


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_a_form_is_refused_with_a_word_on_where_it_goes(api, url, kind):
    answer = api.generic("POST", f"{url}/versions/file", b"a=1", content_type=kind)

    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert "versions/upload" in answer.json()["error"]


def test_a_content_type_that_is_none_is_refused(api, url):
    answer = api.generic("POST", f"{url}/versions/file", b"a", content_type="te xt/plain")

    assert (answer.status_code, list(answer.json()["details"])) == (422, ["content_type"])


def test_it_is_bounded(api, url, settings):
    settings.ATTUNE_ARTIFACT_MAX_MB = 0

    answer = api.generic("POST", f"{url}/versions/file", b"a", content_type="text/plain")

    assert (answer.status_code, ArtifactVersion.objects.count()) == (413, 0)


def test_what_has_data_has_no_versions(api):
    row = Artifact.objects.create(ref="steps", type="progress", data=[])

    answer = api.generic("POST", f"/api/v1/artifacts/{row.pk}/versions/file", b"a", content_type="text/plain")

    assert answer.status_code == 400
