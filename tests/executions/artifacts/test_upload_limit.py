"""Who may send a body that is longer than others."""

import pytest

from attune_project.identity.tokens import issue_access, issue_pair
from executions.api.upload_limit import upload_limit

PATH = "/api/v1/artifacts/12/versions/upload"


def limit(path, token=None):
    headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    return upload_limit({"path": path, "headers": [(b"host", b"x"), *headers]})


@pytest.mark.django_db
def test_an_upload_with_a_token_of_ours_may_be_long(administrator, settings):
    settings.ATTUNE_ARTIFACT_MAX_MB = 7
    token = issue_access(administrator)

    assert limit(PATH, token) > 7 * 1024 * 1024
    assert limit("/api/v1/artifacts", token) == 0
    assert limit(PATH.replace("upload", "file"), token) > 7 * 1024 * 1024
    assert limit(PATH + "/x", token) == 0
    assert limit("/x" + PATH, token) == 0


@pytest.mark.django_db
def test_strangers_may_not_fill_the_disk(administrator):
    forged = issue_pair(administrator).access.rpartition(".")[0] + ".AAAA"

    for token in (None, "", "x", "a.b.c", forged, "é"):
        assert limit(PATH, token) == 0
