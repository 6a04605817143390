"""The admin's pages of artifacts."""

import pytest

from executions.artifacts.collecting import collect
from executions.models import Artifact, ArtifactChunk, ArtifactVersion
from tests.admin.conftest import browser, desk, page

pytestmark = pytest.mark.django_db
__all__ = ["browser", "desk"]
LIST = "executions_artifact_changelist"


@pytest.fixture
def kept(run, left):
    """An artifact of the run with two versions."""
    (left.path / "report.txt").write_text("x")
    collect(run, left)
    collect(run, left)
    return Artifact.objects.get()


def select(client, *rows):
    chosen = {"action": "remove", "_selected_action": [row.pk for row in rows]}
    return client.post(page(LIST), chosen, follow=True)


def said(answer):
    return [str(message) for message in answer.context["messages"]]


def test_an_artifact_is_shown_with_its_versions_and_links(desk, kept, run):
    answer = desk.get(page("executions_artifact_change", kept.pk))

    text = answer.content.decode()
    assert f"/api/v1/artifacts/{kept.pk}/download" in text
    for number in (1, 2):
        assert f"/api/v1/artifacts/{kept.pk}/versions/{number}/download" in text
    assert page("executions_execution_change", run.id) in text


def test_a_download_works_with_the_session_of_the_browser(desk, kept):
    answer = desk.get(f"/api/v1/artifacts/{kept.pk}/download")

    assert b"".join(answer.streaming_content) == b"x"


def test_a_value_is_shown_escaped(desk, run):
    row = Artifact.objects.create(ref="v", type="other", data={"html": "<script>"}, execution_id=run.id)

    text = desk.get(page("executions_artifact_change", row.pk)).content.decode()

    assert "&lt;script&gt;" in text
    assert "<script>&quot;" not in text


def test_a_list_costs_no_query_per_row_and_reads_no_values(desk, run, django_assert_max_num_queries):
    for n in range(20):
        Artifact.objects.create(ref=f"v{n}", type="other", data={"n": n}, execution_id=run.id)

    with django_assert_max_num_queries(12) as captured:
        assert desk.get(page(LIST)).status_code == 200

    assert not [query["sql"] for query in captured if '"artifact"."data"' in query["sql"]]


def test_artifacts_are_deleted_with_their_contents(desk, kept):
    other = Artifact.objects.create(ref="other", type="other")

    assert said(select(desk, kept)) == ["1 artifacts deleted."]

    assert list(Artifact.objects.all()) == [other]
    assert not ArtifactVersion.objects.exists()
    assert not ArtifactChunk.objects.exists()


def test_one_is_deleted_from_its_page_once_that_is_confirmed(desk, kept):
    address = f"/admin/executions/artifact/{kept.pk}/remove/"

    assert desk.get(address).status_code == 200
    assert Artifact.objects.exists()
    desk.post(address)
    assert not Artifact.objects.exists()


def test_deleting_needs_the_right(browser, identity_with, kept):
    read = {"resource": "artifacts", "actions": ["read"], "constraints": {"owner": "any"}}
    reader = browser(identity_with(read, login="reader"))
    other = {"resource": "artifacts", "actions": ["delete"], "constraints": {"refs": ["x"]}}
    of_another = browser(identity_with(read, other, login="other"))

    select(reader, kept)
    answer = select(of_another, kept)
    of_another.post(f"/admin/executions/artifact/{kept.pk}/remove/")

    assert "Permission denied: artifacts:delete" in said(answer)
    assert Artifact.objects.exists()


def test_what_is_hidden_is_in_no_list(browser, identity_with, kept, administrator):
    own = {"resource": "artifacts", "actions": ["read"], "constraints": {"owner": "self"}}
    client = browser(identity_with(own))
    Artifact.objects.update(owner_identity=administrator)

    assert kept.ref not in client.get(page(LIST)).content.decode()
    assert client.get(page("executions_artifact_change", kept.pk)).status_code == 302
