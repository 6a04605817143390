"""What a run does about artifacts itself, with the token that it was lent."""

import threading
import uuid
from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from rest_framework.test import APIClient

from attune_project.identity.models import PermissionSet
from executions.artifacts import versions
from executions.models import Artifact, ArtifactVersion
from executions.requesting import Wanted, request_executions
from tests.executions.lives import claim_one, end, token_of

URL = "/api/v1/artifacts"
BODY = {"scope": "action", "owner": "demo.script", "type": "file_text"}


@pytest.fixture
def claimed(make_action, administrator, worker):
    """A run that was lent the right to its own artifacts."""
    constraints = {"owner": "any", "execution_scope": "self"}
    actions = ["create", "read", "update"]
    grants = [{"resource": "artifacts", "actions": actions, "constraints": constraints}]
    PermissionSet.objects.create(ref="demo.leave", grants=grants)
    action = make_action("demo.script", entrypoint="true", runtime_ref="core.shell")
    wanted = Wanted(
        action, {}, uuid.uuid4(), executor_id=administrator.pk, permission_set_refs=["demo.leave"]
    )
    request_executions([wanted])
    return claim_one(worker, inline=False)


@pytest.fixture
def own(claimed):
    """The client of the run."""
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_of(claimed, 60)}")
    return client


@pytest.mark.django_db
def test_a_run_makes_and_fills_artifacts_of_its_own(own, claimed, administrator):
    made = own.post(URL, {**BODY, "ref": "mine"}, format="json").json()["data"]

    assert (made["execution"], made["owner_identity"]) == (claimed.id, administrator.pk)
    file = SimpleUploadedFile("a.txt", b"hello")
    version = own.post(f"{URL}/{made['id']}/versions/upload", {"file": file}, format="multipart")
    assert version.json()["data"]["execution"] == claimed.id
    assert own.get(f"{URL}/{made['id']}/versions/1").status_code == 200


@pytest.mark.django_db
def test_it_reaches_no_others(own, claimed):
    other = Artifact.objects.create(ref="other", type="other", data=1, visibility="public")
    left = Artifact.objects.create(ref="left", type="other", data=1, execution_id=claimed.id)

    assert [row["id"] for row in own.get(URL).json()["data"]] == [left.pk]
    assert own.get(f"{URL}/{other.pk}").status_code == 404
    assert own.put(f"{URL}/{other.pk}/data", {"data": 2}, format="json").status_code == 404


@pytest.mark.django_db
def test_it_ends_with_the_run(own, claimed):
    end(claimed)

    assert own.get(URL).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_versions_that_come_at_once_each_have_their_number():
    row = Artifact.objects.create(ref="a", type="file_text", retention_limit=100)

    def add():
        try:
            for _ in range(5):
                with transaction.atomic():
                    artifact = versions.locked(row.pk)
                    versions.append(
                        artifact, BytesIO(b"x"), 1, "text/plain", meta={}, created_by=None, execution_id=None
                    )
        finally:
            connection.close()

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert sorted(ArtifactVersion.objects.values_list("version", flat=True)) == list(range(1, 21))
